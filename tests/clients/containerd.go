package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Containerd is a containerd instance for one test. Newer Docker daemons store their images in
// containerd.
type Containerd struct {
	t           testing.TB
	dir, socket string
}

// NewContainerd starts containerd with empty storage, and stops it when the test ends.
func NewContainerd(t testing.TB) *Containerd {
	t.Helper()
	Need(t, "root", "containerd", "ctr")
	dir := ShortDir(t)
	c := &Containerd{t: t, dir: dir, socket: filepath.Join(dir, "c.sock")}
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [%q]\n[grpc]\naddress = %q\n",
		dir+"/root", dir+"/state", "io.containerd.grpc.v1.cri", c.socket)
	if err := os.WriteFile(dir+"/config.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("containerd", "--config", dir+"/config.toml")
	serve(t, cmd, func() bool { return c.command("version").Run() == nil })
	return c
}

func (c *Containerd) command(args ...string) *exec.Cmd {
	return exec.Command("ctr", append([]string{"--address", c.socket}, args...)...)
}

// Import imports the images of an archive and unpacks them.
func (c *Containerd) Import(archive string) {
	c.t.Helper()
	Run(c.t, c.command("images", "import", archive))
}

// Images lists the names of the images.
func (c *Containerd) Images() []string {
	c.t.Helper()
	return strings.Fields(Run(c.t, c.command("images", "list", "--quiet")))
}

// Pull pulls an image from a registry without TLS, and unpacks it.
func (c *Containerd) Pull(ref string) {
	c.t.Helper()
	Run(c.t, c.command("images", "pull", "--plain-http", ref))
}

// Store returns the directory with the unpacked layers.
func (c *Containerd) Store() string {
	return filepath.Join(c.dir, "root/io.containerd.snapshotter.v1.overlayfs")
}

// Mount mounts a pulled image until the test ends, and returns the tree.
func (c *Containerd) Mount(ref string) string {
	c.t.Helper()
	at, err := os.MkdirTemp(c.dir, "mount")
	if err != nil {
		c.t.Fatal(err)
	}
	Run(c.t, c.command("images", "mount", ref, at))
	return at
}
