//go:build race

package plugin

// underRace says that the test binary, which is the runner too, needs more memory
// than a command may have.
const underRace = true
