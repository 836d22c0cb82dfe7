// Floor is the reference for chunkah's speed. It does the minimum amount of work for an
// uncompressed image of a tree: it walks the tree, reads every byte once, hashes the bytes on all
// cores, writes the same number of bytes to a file, and calls fsync.
//
//	floor ROOT FILE
package main

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
)

// bufferSize is the number of bytes per read and write.
const bufferSize = 256 << 10

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor ROOT FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(root, name string) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	paths := make(chan string, 1024)
	var offset atomic.Int64
	errs := make(chan error, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			if err := work(paths, out, &offset); err != nil {
				errs <- err
			}
		})
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			select {
			case paths <- path:
			case err := <-errs:
				return err
			}
		}
		return err
	})
	close(paths)
	workers.Wait()
	if err == nil {
		select {
		case err = <-errs:
		default:
		}
	}
	if err != nil {
		return err
	}
	return out.Sync()
}

// work hashes and copies files until there are no more. It makes plain system calls, because the
// overhead of os.File matters for small files.
func work(paths <-chan string, out *os.File, offset *atomic.Int64) error {
	sum := sha256.New()
	buf := make([]byte, bufferSize)
	for path := range paths {
		in, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %q: %w", path, err)
		}
		err = pass(in, out, sum, offset, buf)
		if cerr := syscall.Close(in); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("copying %q: %w", path, err)
		}
	}
	sum.Sum(nil)
	return nil
}

func pass(in int, out *os.File, sum hash.Hash, offset *atomic.Int64, buf []byte) error {
	for {
		n, err := syscall.Read(in, buf)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return err
		}
		sum.Write(buf[:n])
		if _, err := out.WriteAt(buf[:n], offset.Add(int64(n))-int64(n)); err != nil {
			return err
		}
	}
}
