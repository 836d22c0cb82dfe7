//go:build race

package compress

// raceEnabled skips tests that are slow under the race detector and find nothing there.
const raceEnabled = true
