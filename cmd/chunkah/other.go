//go:build !linux

package main

// Reading root file systems requires Linux (openat2, statx, xattrs). On other systems, the compiler
// reports this undefined name instead of a long list of names that are missing in x/sys/unix.
func main() { chunkah_runs_on_linux_only_build_it_with_GOOS_linux() }
