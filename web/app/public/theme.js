// SPDX-License-Identifier: Apache-2.0
// Runs before the first paint, so that a page in the light theme never flashes dark. A file of its own, because the
// content security policy forbids inline script.
;(function () {
  var choice = 'system'
  try {
    choice = localStorage.getItem('millrace.theme') || 'system'
  } catch {
    // Storage may be forbidden; the system's choice is then used.
  }
  var light = choice === 'light' || (choice !== 'dark' && matchMedia('(prefers-color-scheme: light)').matches)
  document.documentElement.dataset.theme = light ? 'light' : 'dark'
})()
