//go:build race

package compress

// raceEnabled is used to skip tests that are slow under the race detector and find no further
// errors there.
const raceEnabled = true
