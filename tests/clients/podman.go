package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Engine runs podman and buildah with their own storage.
type Engine struct {
	t       testing.TB
	dir     string
	driver  string
	storage []string // options
	env     []string
}

// Conf is a configuration that makes it possible to run containers on a machine that is itself a
// container or a small VM. It sets limits that such a machine allows, and uses neither a network
// nor systemd.
const Conf = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "none"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

// NewEngine returns podman and buildah with empty storage, which is removed when the test ends.
//
// The storage driver is set explicitly, and Env must set the same driver. podman records the
// driver, and its clean-up of a container fails with another driver, which delays a run by 20
// seconds.
func NewEngine(t testing.TB) *Engine { return NewEngineOn(t, "overlay") }

// NewEngineOn is like NewEngine, but with the given storage driver.
func NewEngineOn(t testing.TB, driver string) *Engine {
	t.Helper()
	Need(t, "root", "podman", "runc")
	dir := ShortDir(t)
	name := filepath.Join(dir, "containers.conf")
	if err := os.WriteFile(name, []byte(Conf), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &Engine{t: t, dir: dir, driver: driver, storage: []string{"--root", dir + "/storage", "--runroot", dir + "/run", "--storage-driver", driver}, env: append(os.Environ(), "CONTAINERS_CONF="+name, "TMPDIR="+dir)}
	t.Cleanup(func() {
		_ = e.podman("rm", "--all", "--force").Run()
		_ = e.podman("image", "unmount", "--all", "--force").Run()
	})
	return e
}

// Env returns the environment for podman, buildah and skopeo to use this storage, so that scripts
// can call them in the usual way.
func (e *Engine) Env() []string {
	e.t.Helper()
	name := filepath.Join(e.dir, "storage.conf")
	text := fmt.Sprintf("[storage]\ndriver = %q\ngraphroot = %q\nrunroot = %q\n", e.driver, e.dir+"/storage", e.dir+"/run")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		e.t.Fatal(err)
	}
	return append(e.env[len(os.Environ()):], "CONTAINERS_STORAGE_CONF="+name, "BUILDAH_ISOLATION=chroot")
}

func (e *Engine) podman(args ...string) *exec.Cmd {
	own := slices.Concat(e.storage, []string{"--tmpdir", e.dir + "/tmp"}, args)
	cmd := exec.Command("podman", own...)
	cmd.Env = e.env
	return cmd
}

// Podman runs podman and returns its standard output.
func (e *Engine) Podman(args ...string) string {
	e.t.Helper()
	return Run(e.t, e.podman(args...))
}

// Buildah runs buildah in the directory dir and returns its standard output.
func (e *Engine) Buildah(dir string, args ...string) string {
	e.t.Helper()
	Need(e.t, "buildah")
	cmd := exec.Command("buildah", slices.Concat(e.storage, args)...)
	cmd.Dir, cmd.Env = dir, e.env
	return Run(e.t, cmd)
}

// Load loads an archive and returns the image's ID or name.
func (e *Engine) Load(archive string) string {
	e.t.Helper()
	out := strings.TrimSpace(e.Podman("load", "--quiet", "--input", archive))
	_, image, ok := strings.Cut(out[strings.LastIndex(out, "\n")+1:], ": ")
	if !ok {
		e.t.Fatalf("podman load said %q", out)
	}
	return image
}

// TryLoad loads an archive that podman may refuse, and returns podman's output.
func (e *Engine) TryLoad(archive string) (string, error) {
	out, err := e.podman("load", "--quiet", "--input", archive).CombinedOutput()
	return string(out), err
}

// Pull pulls an image from a registry without TLS.
func (e *Engine) Pull(ref string) {
	e.t.Helper()
	e.Podman("pull", "--quiet", "--tls-verify=false", "docker://"+ref)
}

// Store returns the directory with the unpacked layers.
func (e *Engine) Store() string { return filepath.Join(e.dir, "storage", e.driver) }

// Run runs a command in a new container of the image and returns its standard
// output.
func (e *Engine) Run(image string, command ...string) string {
	e.t.Helper()
	return e.Podman(append([]string{"run", "--rm", image}, command...)...)
}

// Mount mounts the image until the test ends, and returns the tree.
func (e *Engine) Mount(image string) string {
	e.t.Helper()
	return strings.TrimSpace(e.Podman("image", "mount", image))
}

// Script runs podman with a script on standard input, and returns everything that it prints.
func (e *Engine) Script(script string, args ...string) string {
	e.t.Helper()
	cmd := e.podman(args...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		e.t.Fatalf("podman %q: %v\n%s", args, err, out)
	}
	return string(out)
}
