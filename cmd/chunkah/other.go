//go:build !linux

package main

// Reading root file systems needs Linux (openat2, statx, xattrs). On other systems, the compiler
// reports this undefined name instead of a page of names that x/sys/unix lacks.
func main() { chunkah_runs_on_linux_only_build_it_with_GOOS_linux() }
