// Bench-update measures what a real update costs clients. The old root is the last point release of
// Debian bookworm. The new root also contains the updates since then (bookworm-security and
// bookworm-updates). mmdebstrap makes both roots, and chunkah builds an image of each. From the
// layers, bench-update computes what clients that have the old image download and store for the new
// image:
//
//   - the blobs that are not in the old image, as tars and with gzip. podman and containerd
//     download these.
//   - the lowest layer that differs and all layers above it, with gzip. docker's graph drivers
//     download these.
//   - the same layers as tars. podman and all other clients need this amount of disk space.
//
// docs/clients.md explains why.
//
//	bench-update -bin bin -dir /var/tmp/chunkah-bench [-max 64,128] [-sets REGEXP]
//
// It compares chunkah, with and without --previous and with --max-stale, with the layers of chunkah
// 0.6 (base.go) and with a single layer. It uses the mirrors from apt's configuration and needs
// root privileges. It keeps the roots in DIR, and also stores one image there while it runs.
//
//	bench-update -apps [-base DIR] [-pyc hash|time|none] -bin bin -dir DIR [-max N] [-sets RE]
//
// With -apps, it measures applications instead. Their packages from PyPI and npm are updated
// through three consecutive versions, one package per build (apps.go). It compares the size of the
// new layers' tars with that of the changed components.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// sets lists packages to install in addition to Debian's important packages.
var sets = []struct{ name, packages string }{
	{"minimal", ""},
	{"server", "nginx,postgresql,openssh-server,python3-django,git,redis-server,php-fpm,haproxy,bind9,samba,curl," +
		"imagemagick,linux-image-amd64,ruby,nodejs"},
	{"desktop", "xfce4,firefox-esr,thunderbird,chromium,libreoffice,gimp,inkscape,vlc,evince,network-manager-gnome,cups," +
		"build-essential,git,linux-image-amd64,openssh-server,python3-numpy,texlive-latex-base,emacs-gtk,default-jdk"},
}

type bench struct {
	ctx      context.Context
	bin, dir string
	pyc      string // see pip
}

func main() {
	bin := flag.String("bin", "bin", "folder of the commands")
	dir := flag.String("dir", filepath.Join(os.TempDir(), "chunkah-bench"), "folder for the roots")
	limits := flag.String("max", "64,128", "layers at most")
	match := flag.String("sets", "", "measure only the sets whose name matches")
	applications := flag.Bool("apps", false, "measure applications instead")
	base := flag.String("base", "", "root that applications are installed in")
	pyc := flag.String("pyc", "hash", "compiled Python of applications: with the hash or time of its source, or none")
	flag.Parse()
	b := &bench{ctx: context.Background(), bin: *bin, dir: *dir, pyc: *pyc}
	var err error
	if *applications {
		err = b.runApps(*limits, *match, *base)
	} else {
		err = b.run(*limits, *match)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-update:", err)
		os.Exit(1)
	}
}

// parse parses the layer limits and the pattern for names, and prints the date and the machine.
func (b *bench) parse(limits, match string) (most []int, only *regexp.Regexp, err error) {
	if only, err = regexp.Compile(match); err != nil {
		return nil, nil, err
	}
	for text := range strings.SplitSeq(limits, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, nil, err
		}
		most = append(most, n)
	}
	fmt.Printf("%s, %d cores, %s\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	return most, only, os.MkdirAll(b.dir, 0o755)
}

// runApps measures the applications with each layer limit.
func (b *bench) runApps(limits, match, base string) error {
	most, only, err := b.parse(limits, match)
	if err != nil {
		return err
	}
	for _, limit := range most {
		if err := b.apps(only, base, limit); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) run(limits, match string) error {
	most, only, err := b.parse(limits, match)
	if err != nil {
		return err
	}
	fmt.Println("| set | layers | layout | blobs that differ | with gzip | docker downloads | podman's disk grows |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range sets {
		if !only.MatchString(s.name) {
			continue
		}
		if err := b.set(s.name, s.packages, most); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// root returns the path of a root. It makes the root if it does not exist.
func (b *bench) root(name, packages string, sources ...string) (string, error) {
	path := filepath.Join(b.dir, "root."+name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(os.Stderr, "bench-update: making the root %s\n", name)
	unfinished := path + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	args := []string{"--quiet", "--variant=important"}
	if packages != "" {
		args = append(args, "--include="+packages)
	}
	cmd := exec.CommandContext(b.ctx, "mmdebstrap", append(append(args, "bookworm", unfinished), sources...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("mmdebstrap: %w", err)
	}
	return path, os.Rename(unfinished, path)
}

// roots returns the roots of a set before and after the update.
func (b *bench) roots(name, packages string) (before, after string, err error) {
	var sources []string
	for _, suite := range []string{"bookworm", "bookworm-updates", "bookworm-security"} {
		mirror, err := b.mirror(suite)
		if err != nil {
			return "", "", err
		}
		sources = append(sources, fmt.Sprintf("deb %s %s main", mirror, suite))
	}
	if before, err = b.root(name+".old", packages, sources[0]); err != nil {
		return "", "", err
	}
	after, err = b.root(name+".new", packages, sources...)
	return before, after, err
}

// mirror returns the mirror from which apt on this machine fetches a suite.
func (b *bench) mirror(suite string) (string, error) {
	out, err := exec.CommandContext(b.ctx, "apt-get", "indextargets", "--format", "$(SITE)",
		"Created-By: Packages", "Release: "+suite, "Component: main").Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for the mirror of %s: %w", suite, err)
	}
	site, _, _ := strings.Cut(string(out), "\n")
	if site == "" {
		return "", fmt.Errorf("apt has no mirror of %s: add it to apt's sources, and run apt-get update", suite)
	}
	return site, nil
}
