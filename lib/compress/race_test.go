//go:build race

package compress

// raceEnabled leaves out what is only slow under the race detector, and has nothing to race.
const raceEnabled = true
