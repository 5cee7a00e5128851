"use strict";
// What a page cannot know when it is made: how old its dates are now.

const DAY = 86400000;

function countDays(since) {
  const now = new Date();
  const today = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  return Math.round((today - Date.parse(since)) / DAY);
}

const nameDays = (days) => `${days.toLocaleString("en")} ${days === 1 ? "day" : "days"} old`;

function showAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const days = countDays(time.dateTime);
    if (!Number.isFinite(days) || days < 0) continue;
    const age = document.createElement("span");
    age.className = "age";
    age.textContent = days === 0 ? " (today)" : ` (${nameDays(days)})`;
    time.after(age);
  }
}

// Whoever reads a page learns that nothing was read since, though no job ran that could say so.
async function showDue() {
  const line = document.querySelector("[data-status]");
  if (!line || location.protocol === "file:") return;
  let status;
  try {
    status = await (await fetch(line.dataset.status, { cache: "no-cache" })).json();
  } catch {
    return;
  }
  if (!(countDays(status.next_due) > 0)) return;
  const age = nameDays(countDays(status.read_on));
  line.textContent = `${age}: the sources were last read on ${status.read_on}; the next reading was due by ${status.next_due}.`;
  line.hidden = false;
}
