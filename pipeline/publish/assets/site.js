// What saves a walk: copying, filtering. The report's ages.js stands before it.

function enableCopying() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.firstChild;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        label.data = "Copied";
      } catch {
        label.data = "Not copied";
      }
      setTimeout(() => { label.data = "Copy"; }, 2000);
    });
  }
}

function enableFiltering() {
  const field = document.querySelector("input[data-filter]");
  if (!field) return;
  const list = document.querySelector(field.dataset.filter);
  const items = [...(list.tBodies ? list.tBodies[0].rows : list.children)];
  const names = items.map((item) => item.querySelector("a").textContent.toLowerCase());
  const status = field.parentElement.querySelector("[role=status]");
  field.parentElement.hidden = false;
  const apply = () => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    items.forEach((item, at) => {
      item.hidden = !names[at].includes(wanted);
      shown += item.hidden ? 0 : 1;
    });
    status.textContent = wanted ? `${shown.toLocaleString("en")} of ${items.length.toLocaleString("en")}` : "";
  };
  field.addEventListener("input", apply);
  const asked = new URLSearchParams(location.search).get("q");
  if (asked && list.id === "packages" && list.tBodies) {
    // A spec such as hdf5@1.14+mpi is looked up by its package.
    field.value = asked.split(/[@+~%\s]/)[0];
    document.getElementById("find").value = asked;
    const named = items.findIndex((item) => item.querySelector("a").textContent === field.value);
    const exact = named >= 0 ? named : names.indexOf(field.value.toLowerCase());
    if (exact >= 0) list.tBodies[0].prepend(items[exact]);
  }
  apply();
}

showAges();
showDue();
enableCopying();
enableFiltering();
