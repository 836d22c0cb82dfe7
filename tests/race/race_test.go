// Package race builds images of a root that another process changes.
package race

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/compress"
	"chunkah/lib/image"
	"chunkah/lib/oci"
	"chunkah/lib/pack"
	"chunkah/lib/pipeline"
	"chunkah/lib/rootfs"
	"chunkah/lib/scan"
	"chunkah/lib/transport"
	"chunkah/lib/verify"
	"chunkah/lib/write"
)

const (
	racerVariable = "CHUNKAH_TEST_RACER" // makes the test binary act as the racer in this directory

	raceRounds = 10_000
	// raceBuilds is the minimum number of builds during the race. raceHits is the number of builds
	// that must fail.
	raceBuilds, raceHits = 200, 50

	racedSize  = 300_000 // bytes of a's in the file
	racedMore  = 100_000 // bytes by which it grows
	racedOther = 500_000 // bytes of b's in the file that replaces it
)

func TestMain(m *testing.M) {
	dir := os.Getenv(racerVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := race(dir); err != nil {
		fmt.Fprintln(os.Stderr, "racer:", err)
		os.Exit(1)
	}
}

// raceFolder makes the racer's files: a root with the file f, and the files that replace f.
func raceFolder(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	err := errors.Join(
		os.Mkdir(dir+"/root", 0o755), os.Mkdir(dir+"/spare", 0o755),
		os.WriteFile(dir+"/root/before", []byte("before"), 0o644),
		os.WriteFile(dir+"/root/f", bytes.Repeat([]byte("a"), racedSize), 0o644),
		os.WriteFile(dir+"/root/g", []byte("behind"), 0o644),
		os.WriteFile(dir+"/spare/file", bytes.Repeat([]byte("b"), racedOther), 0o644),
		os.Mkdir(dir+"/spare/dir", 0o755), os.WriteFile(dir+"/spare/dir/x", []byte("x"), 0o644),
		os.Symlink("before", dir+"/spare/link"),
		unix.Mkfifo(dir+"/spare/fifo", 0o644))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// race runs the racer, which is a separate process. It makes f grow and shrink, replaces f with
// other types of files, and restores f. It pauses now and then, so that some builds succeed.
func race(dir string) error {
	f := dir + "/root/f"
	spares := []string{"file", "dir", "link", "fifo"}
	for round := 0; round < raceRounds; {
		if rand.IntN(3) == 0 {
			if err := grow(f); err != nil {
				return err
			}
			pause()
			if err := os.Truncate(f, racedSize); err != nil {
				return err
			}
		} else {
			spare := filepath.Join(dir, "spare", spares[rand.IntN(len(spares))])
			for range 2 { // replace the file and restore it
				if err := unix.Renameat2(unix.AT_FDCWD, f, unix.AT_FDCWD, spare, unix.RENAME_EXCHANGE); err != nil {
					return err
				}
				pause()
			}
		}
		round += 2
	}
	return nil
}

func grow(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Repeat([]byte("a"), racedMore))
	return errors.Join(err, f.Close())
}

// pause waits for a short time, and in one out of forty cases for as long as a build takes.
func pause() {
	most := 200 * time.Microsecond
	if rand.IntN(40) == 0 {
		most = 20 * time.Millisecond
	}
	time.Sleep(rand.N(most))
}

// While another process makes a file grow and shrink and replaces it with a directory, a symlink, a
// FIFO or another file, 10,000 times, each build either fails and names the path, or makes an image
// with the file as it was at one moment.
func TestRacingProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("10,000 rounds")
	}
	dir := raceFolder(t)
	racer := exec.Command(os.Args[0])
	racer.Env = append(os.Environ(), racerVariable+"="+dir)
	racer.Stderr = os.Stderr
	if err := racer.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- racer.Wait() }()
	out := t.TempDir()
	seen, builds, hits := map[string]int{}, 0, 0
	for racing := true; racing; builds++ {
		select {
		case err := <-ended:
			if racing = false; err != nil {
				t.Fatal(err)
			}
			continue // a build without the racer proves nothing
		default:
		}
		archive := filepath.Join(out, "a")
		if err := racedBuild(t, dir+"/root", archive, builds); err != nil {
			if hits++; !named.MatchString(err.Error()) {
				t.Errorf("/f is not named: %v", err)
			}
			if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
				t.Errorf("%v was left behind, %v", left, err)
			}
			continue
		}
		seen[raced(t, archive)]++
		if err := os.Remove(archive); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d builds, %d of which failed; in the others, f is %v", builds, hits, seen)
	if builds < raceBuilds || hits < raceHits || builds-hits < raceHits/5 {
		t.Errorf("%d builds, %d of which failed: too few of one kind", builds, hits)
	}
}

// named matches f in a message.
var named = regexp.MustCompile(`"/f(/x)?"|\n +/f \(FIFO\)`)

// racedBuild does the same as chunkah build. turn selects how the archive is written.
func racedBuild(t *testing.T, dir, archive string, turn int) error {
	t.Helper()
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	opt := write.Options{
		Inputs: &write.Inputs{Root: root}, Scanned: turn%2 == 0, SpoolDir: filepath.Dir(archive),
		Create:      func() (oci.Destination, error) { return oci.CreateArchive(archive, oci.Options{}) },
		Compression: compress.Settings{Algorithm: []compress.Algorithm{compress.None, compress.Gzip, compress.Zstd}[turn%3]},
	}
	done := make(chan error, 1)
	go func() {
		done <- pipeline.Run(t.Context(),
			pipeline.Stage{Name: "scan", Run: func(ctx context.Context, _ format.Source, out format.Sink) error {
				_, err := scan.Run(ctx, root, format.Header{Version: format.Version, Stage: format.StageScan, Root: dir}, scan.Options{}, out)
				return err
			}},
			pipeline.Stage{Name: "assign", Run: func(ctx context.Context, in format.Source, out format.Sink) error {
				_, err := assign.Run(ctx, in, out, assign.Options{Root: root})
				return err
			}},
			pipeline.Stage{Name: "pack", Run: func(ctx context.Context, in format.Source, out format.Sink) error {
				_, err := pack.Run(ctx, in, out, pack.Options{})
				return err
			}},
			pipeline.Stage{Name: "write", Run: func(ctx context.Context, in format.Source, _ format.Sink) error {
				image, err := write.Run(ctx, in, opt)
				if err != nil {
					return err
				}
				return image.Commit()
			}})
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute): // a build takes a hundredth of a second
		t.Fatal("a build hangs")
		return nil
	}
}

// raced verifies an image and returns the state of f in it. The test fails if f never had that
// state.
func raced(t *testing.T, archive string) string {
	t.Helper()
	src := image.Location{Transport: transport.Archive, Path: archive}
	report, err := verify.Run(t.Context(), src, verify.Options{})
	if err != nil || len(report.Faults) > 0 {
		t.Fatalf("%v: %v", err, report)
	}
	img, err := image.Open(t.Context(), src, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	tree, err := image.Flatten(t.Context(), img, image.FlattenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	root := rootfs.Virtual("image", tree)
	defer root.Close()
	if text, err := contents(root, "/g"); err != nil || text != "behind" {
		t.Errorf("after f comes %q, %v", text, err)
	}
	return state(t, root)
}

// state returns the state of f in the image of a root.
func state(t *testing.T, root *rootfs.Root) string {
	t.Helper()
	st, err := root.Lstat("/f")
	if err != nil {
		t.Fatal(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if x, err := contents(root, "/f/x"); err != nil || x != "x" {
			t.Errorf("f is a directory, and in x is %q, %v", x, err)
		}
		return "a directory"
	case unix.S_IFLNK:
		return "a symlink"
	}
	text, err := contents(root, "/f")
	switch n := len(text); {
	case err != nil:
		t.Error(err)
	case n >= racedSize && n <= racedSize+racedMore && strings.Count(text, "a") == n:
		return "the file" // of any size while it grows
	case n == racedOther && strings.Count(text, "b") == n:
		return "the other file"
	}
	t.Errorf("f is a file of %d bytes, with %d a's and %d b's", len(text), strings.Count(text, "a"), strings.Count(text, "b"))
	return ""
}

func contents(root *rootfs.Root, path string) (string, error) {
	f, err := root.OpenFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}
