//go:build race

package gateway

// raceEnabled: the race detector's own memory is not the hub's.
const raceEnabled = true
