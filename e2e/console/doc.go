// Package console tries the console in a browser, over a real hub with its own
// Postgres and Git. The steps are Playwright's, in hub/console/e2e; what they need of
// the world beside the browser (a commit, a hub that goes away) they ask this
// package for by name: see Hands.
//
// It needs Node.js with the console's modules (npm ci in hub/console, which make
// build does), a Chromium, and a hub that was built with the console; where one is
// not there its tests are skipped and say why. e2e/bench measures with the same
// Playwright.
package console
