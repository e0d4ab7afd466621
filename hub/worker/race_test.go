//go:build race

package worker

// The race detector needs more address space than the limit of the test gives.
const raceDetector = true
