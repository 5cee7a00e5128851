"use strict";
// Before the page paints: the theme chosen last time, and what becomes of text that a library writes as HTML.
(() => {
  try {
    const theme = localStorage.getItem("spack-warehouse-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* storage may be refused, as in a sandbox: the system's theme will do */ }
  // The only HTML that Tabulator writes here; all else, whatever it is, becomes text.
  const known = new Set(["", "&nbsp;", "<div class='tabulator-arrow'></div>"]);
  const escape = (html) => html.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  if (window.trustedTypes && trustedTypes.createPolicy) {
    trustedTypes.createPolicy("default", { createHTML: (html) => (known.has(html) ? html : escape(html)) });
  }
})();
