// Bench-update measures what a client downloads at one true update: Debian roots
// as bookworm was released last, and with the updates since (bookworm-security and
// bookworm-updates), made by mmdebstrap. Both are built, and the blobs of the new
// image that the old one lacks are added up, as they are and with gzip.
//
//	bench-update -bin bin -dir /var/tmp/chunkah-bench [-max 64,128] [-sets REGEXP]
//
// Beside chunkah, without and with --previous, stand the components that changed by
// themselves, the grouping of chunkah 0.6 (base.go), and one layer. It needs root,
// keeps the roots in DIR, and stores no image.
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

// sets are the packages on top of Debian's important ones.
var sets = []struct{ name, packages string }{
	{"minimal", ""},
	{"server", "nginx,postgresql,openssh-server,python3-django,git,redis-server,php-fpm,haproxy,bind9,samba,curl," +
		"imagemagick,linux-image-amd64,ruby,nodejs"},
	{"desktop", "xfce4,firefox-esr,thunderbird,chromium,libreoffice,gimp,inkscape,vlc,evince,network-manager-gnome,cups," +
		"build-essential,git,linux-image-amd64,openssh-server,python3-numpy,texlive-latex-base,emacs-gtk,default-jdk"},
}

const (
	mirror   = "http://deb.debian.org/debian"
	security = "http://security.debian.org/debian-security"
)

type bench struct {
	ctx      context.Context
	bin, dir string
}

func main() {
	bin := flag.String("bin", "bin", "folder of the commands")
	dir := flag.String("dir", filepath.Join(os.TempDir(), "chunkah-bench"), "folder for the roots")
	limits := flag.String("max", "64,128", "layers at most")
	match := flag.String("sets", "", "measure only the sets whose name matches")
	flag.Parse()
	b := &bench{ctx: context.Background(), bin: *bin, dir: *dir}
	if err := b.run(*limits, *match); err != nil {
		fmt.Fprintln(os.Stderr, "bench-update:", err)
		os.Exit(1)
	}
}

func (b *bench) run(limits, match string) error {
	only, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	var most []int
	for text := range strings.SplitSeq(limits, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		most = append(most, n)
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("%s, %d cores, %s\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.Version())
	fmt.Println("| set | sources | of them updated | components changed | layers | with `--previous` | without | chunkah 0.6 | one layer |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
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

// root returns the path of a root, which it makes where it is not there.
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

// roots are a set before and after the update.
func (b *bench) roots(name, packages string) (before, after string, err error) {
	released := "deb " + mirror + " bookworm main"
	if before, err = b.root(name+".old", packages, released); err != nil {
		return "", "", err
	}
	after, err = b.root(name+".new", packages, released, "deb "+mirror+" bookworm-updates main",
		"deb "+security+" bookworm-security main")
	return before, after, err
}
