package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// largePackages lists packages that result in a Debian system of about 45,000 files and 1.2 GB.
const largePackages = "build-essential,git,perl-doc,python3-numpy,python3-scipy,vim"

// root returns the path of a root. It makes the root if it does not exist.
func (b *bench) root(name string) (string, error) {
	path := filepath.Join(b.roots, "root."+name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "bench: making the root %s\n", name)
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := b.make(name, unfinished); err != nil {
		return "", err
	}
	return path, os.Rename(unfinished, path)
}

func (b *bench) make(name, path string) error {
	switch name {
	case "small":
		return debian(path, 12_000, 20_000)
	case "large":
		return debian(path, 45_000, 26_000, "--include="+largePackages)
	case "many":
		return files(path, 500_000, 1000)
	case "tenth":
		return files(path, 50_000, 1000)
	case "narrow":
		return files(path, 10_000, 4000)
	case "wide":
		return files(path, 10_000, 40_000)
	case "half":
		return half(path)
	}
	return fmt.Errorf("no root is called %q", name)
}

// debian makes a Debian system or, if that is not possible, n files of the given size in bytes.
func debian(path string, n, size int, options ...string) error {
	if _, err := exec.LookPath("mmdebstrap"); err != nil || os.Geteuid() != 0 {
		fmt.Fprintf(os.Stderr, "bench: no mmdebstrap, or not root: %d generated files replace Debian\n", n)
		return files(path, n, size)
	}
	args := append([]string{"--quiet", "--variant=important"}, options...)
	cmd := exec.Command("mmdebstrap", append(args, "bookworm", path)...)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// files makes files of a given number and size, a thousand per directory.
func files(path string, n, size int) error {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, size)
	for i := range n {
		dir := filepath.Join(path, "opt", fmt.Sprintf("app%02d", i/10_000), fmt.Sprintf("d%04d", i/1000))
		if i%1000 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		text(random, data)
		if err := write(filepath.Join(dir, fmt.Sprintf("file%06d.txt", i)), data); err != nil {
			return err
		}
	}
	return nil
}

// half makes a root in which one file, and therefore one layer, contains half of the bytes.
func half(path string) error {
	if err := files(path, 4000, 50_000); err != nil {
		return err
	}
	data := make([]byte, 4000*50_000)
	text(rand.New(rand.NewPCG(3, 4)), data)
	return write(filepath.Join(path, "opt", "large.bin"), data)
}

// text fills data with bytes that compress about as well as programs.
func text(random *rand.Rand, data []byte) {
	var words [64][8]byte
	for i := range words {
		for j := range words[i] {
			words[i][j] = byte(random.Uint32())
		}
	}
	for i := 0; i < len(data); {
		if random.IntN(3) == 0 {
			data[i] = byte(random.Uint32())
			i++
			continue
		}
		i += copy(data[i:], words[random.IntN(len(words))][:])
	}
}

// write creates a file with the same mtime in every run.
func write(name string, data []byte) error {
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return err
	}
	old := time.Unix(1_700_000_000, 0)
	return os.Chtimes(name, old, old)
}
