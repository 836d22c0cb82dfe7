package clients

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Docker is a Docker daemon for one test.
type Docker struct {
	t         testing.TB
	dir, host string
}

// daemonStart limits the time to start or stop the daemon.
const daemonStart = 60 * time.Second

// NewDocker starts a daemon with empty storage and without a network, and stops it when the test
// ends.
func NewDocker(t testing.TB) *Docker { return NewDockerOn(t, "overlay2") }

// NewDockerOn is like NewDocker, but with the given storage driver.
func NewDockerOn(t testing.TB, driver string) *Docker {
	t.Helper()
	Need(t, "root", "dockerd", "runc", "skopeo")
	dir := ShortDir(t)
	socket := filepath.Join(dir, "docker.sock")
	cmd := exec.Command("dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none",
		"--storage-driver", driver, "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"--host", "unix://"+socket, "--group", "root")
	d := &Docker{t: t, dir: dir, host: "unix://" + socket}
	serve(t, cmd, func() bool { return d.Command("version").Run() == nil })
	return d
}

// serve starts a daemon, waits until it responds, and stops it when the test ends.
func serve(t testing.TB, cmd *exec.Cmd, answers func() bool) {
	t.Helper()
	name := cmd.Args[0]
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { _ = cmd.Wait(); close(gone) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-gone:
		case <-time.After(daemonStart):
			_ = cmd.Process.Kill()
			<-gone
		}
	})
	for end := time.Now().Add(daemonStart); !answers(); time.Sleep(100 * time.Millisecond) {
		select {
		case <-gone:
			Lack(t, name+" does not start here: "+log.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not answer: %s", name, log.String())
		}
	}
}

// Command returns a docker command that connects to the daemon.
func (d *Docker) Command(args ...string) *exec.Cmd {
	client := "docker"
	if _, err := os.Stat("/usr/bin/docker"); err == nil {
		client = "/usr/bin/docker"
	}
	cmd := exec.Command(client, args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.host)
	return cmd
}

// Host returns the daemon's address for DOCKER_HOST.
func (d *Docker) Host() string { return d.host }

// Docker runs the client and returns its standard output.
func (d *Docker) Docker(args ...string) string {
	d.t.Helper()
	return Run(d.t, d.Command(args...))
}

// Load loads the image of an OCI archive into the daemon under a name with a tag. Docker 20.10 does
// not read OCI archives itself.
func (d *Docker) Load(archive, name string) {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "docker.tar")
	SkopeoCopy(d.t, "oci-archive:"+archive, "docker-archive:"+file+":"+name)
	d.Docker("load", "--quiet", "--input", file)
}

// LoadArchive loads an archive with docker load. It returns the image's name, or its ID if the
// image has no name.
func (d *Docker) LoadArchive(archive string) string {
	d.t.Helper()
	_, image, _ := strings.Cut(strings.TrimSpace(d.Docker("load", "--quiet", "--input", archive)), ": ")
	return image
}

// Pull pulls an image from a registry on a loopback address.
func (d *Docker) Pull(ref string) {
	d.t.Helper()
	d.Docker("pull", "--quiet", ref)
}

// Store returns the directory with the unpacked layers of the driver overlay2.
func (d *Docker) Store() string { return filepath.Join(d.dir, "data/overlay2") }

// Run runs a command in a new container of the image and returns its standard
// output.
func (d *Docker) Run(image string, command ...string) string {
	d.t.Helper()
	return d.Docker(append([]string{"run", "--rm", "--network", "none", image}, command...)...)
}

// Mount mounts the image in a stopped container until the test ends, and returns the tree.
func (d *Docker) Mount(image string) string {
	d.t.Helper()
	id := strings.TrimSpace(d.Docker("create", "--network", "none", image, "/none"))
	upper := strings.TrimSpace(d.Docker("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", id))
	// The file named "lower" in the container's directory lists the lower directories by their
	// short names. The first is the container's own directory, with its hostname and hosts files.
	// The others are the image's layers.
	lower, err := os.ReadFile(filepath.Join(filepath.Dir(upper), "lower"))
	if err != nil {
		d.t.Fatal(err)
	}
	_, layers, _ := strings.Cut(string(lower), ":")
	// overlayfs refuses a single lower directory.
	target, empty := d.t.TempDir(), d.t.TempDir()
	mount := exec.Command("mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir="+layers+":"+empty, target)
	mount.Dir = filepath.Dir(filepath.Dir(upper))
	Run(d.t, mount)
	d.t.Cleanup(func() { unmountBelow(target) })
	return target
}
