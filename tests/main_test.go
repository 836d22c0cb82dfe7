package tests

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/rpmroot"
)

// scratch is a directory for this run of the tests. It contains the commands, in bin, and roots
// that take a long time to create.
var scratch string

func TestMain(m *testing.M) {
	if os.Getenv(withoutOpenat2) != "" {
		fmt.Fprintln(os.Stderr, refuseOpenat2(os.Args[1:]))
		os.Exit(127)
	}
	os.Exit(run(m))
}

// run builds the commands, puts them first in PATH and runs the tests.
func run(m *testing.M) int {
	syscall.Umask(0o022) // so that all users get the same roots
	if signal.Ignored(syscall.SIGHUP) {
		// The tests can run under nohup. Commands inherit ignored signals, but not caught signals.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	var err error
	if scratch, err = os.MkdirTemp("", "chunkah-tests"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch)
	bin := filepath.Join(scratch, "bin")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin+"/", "./cmd/...") // like make build
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the commands: %v\n%s", err, out)
		return 1
	}
	os.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	// The user's settings, credentials and certificates must not change the tests.
	for _, name := range []string{"SOURCE_DATE_EPOCH", "CHUNKAH_ROOTFS", "CHUNKAH_FORMAT", "CHUNKAH_CONFIG_STR", "CHUNKAH_THREADS", "CHUNKAH_CACHE"} {
		os.Unsetenv(name)
	}
	for _, name := range []string{"REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"} {
		os.Unsetenv(name)
	}
	settings := filepath.Join(scratch, "settings")
	err = os.Mkdir(settings, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(settings, "config.json"), []byte("{}"), 0o600) // podman requires it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, name := range []string{"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"} {
		os.Setenv(name, settings)
	}
	os.Setenv("XDG_STATE_HOME", filepath.Join(scratch, "state")) // tests leave nothing in the user's directory
	defer startRoots()()
	return m.Run()
}

// A cachedRoot is created by the first test that needs it, or earlier. Tests only read it.
type cachedRoot struct {
	once sync.Once
	err  error
}

// make returns the root. fill creates it if necessary.
func (c *cachedRoot) make(name string, fill func(dir string) error) (dir string, err error) {
	dir = filepath.Join(scratch, name)
	c.once.Do(func() { c.err = fill(dir) })
	return dir, c.err
}

// get is like make, but fails the test on an error.
func (c *cachedRoot) get(t *testing.T, name string, fill func(dir string) error) string {
	t.Helper()
	dir, err := c.make(name, fill)
	if err != nil {
		t.Fatalf("making the root %s: %v", name, err)
	}
	return dir
}

var rpmCache, debianCache, trixieCache cachedRoot

// rpmRoot returns the root that package rpmroot makes. Tests must not change this root, but can use
// copyRoot.
func rpmRoot(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root", "rpm", "rpmbuild", "busybox", "setfacl", "setfattr")
	return rpmCache.get(t, "rpm", func(dir string) error {
		work := filepath.Join(scratch, "rpmwork")
		defer os.RemoveAll(work)
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		return rpmroot.Build(dir, work)
	})
}

// debianRoot returns the root of a small Debian system made by mmdebstrap, with device nodes in
// /dev. Tests must not change it.
func debianRoot(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root", "mmdebstrap")
	return debianCache.get(t, "debian", makeDebian)
}

func makeDebian(dir string) error { return mmdebstrap("bookworm", dir) }

// trixieRoot returns the root of a Debian system with pip and the packages that languages adds.
// Tests must not change it.
func trixieRoot(t *testing.T) string {
	t.Helper()
	clients.Need(t, "root", "mmdebstrap", "pip3", "npm")
	return trixieCache.get(t, "trixie", makeTrixie)
}

func makeTrixie(dir string) error {
	if err := mmdebstrap("trixie", dir, "--include=python3-pip,python3-venv,ca-certificates"); err != nil {
		return err
	}
	return languages(dir)
}

// startRoots makes the two Debian roots while the first tests run, because many of these tests use
// only one core. It does nothing if only some tests run.
func startRoots() (wait func()) {
	if !flag.Parsed() {
		flag.Parse()
	}
	some := flag.Lookup("test.run").Value.String() + flag.Lookup("test.list").Value.String()
	if _, err := exec.LookPath("mmdebstrap"); err != nil || os.Geteuid() != 0 || testing.Short() || some != "" {
		return func() {}
	}
	var made sync.WaitGroup
	made.Go(func() {
		_, _ = debianCache.make("debian", makeDebian) // the tests that need them report errors
		_, _ = trixieCache.make("trixie", makeTrixie)
	})
	return made.Wait
}

// mmdebstrap creates the root of a Debian system in dir.
func mmdebstrap(suite, dir string, args ...string) error {
	args = append([]string{"--quiet", "--variant=important", suite, dir}, args...)
	if out, err := exec.Command("mmdebstrap", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return nil
}

// copyRoot copies a root with all metadata, for a test that changes it. Inode numbers and the order
// of names on disk differ in the copy.
func copyRoot(t *testing.T, root string) string {
	t.Helper()
	return copyTo(t, root, filepath.Join(t.TempDir(), "root"))
}
