package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// An app is an application together with its packages from a registry.
type app struct {
	name string
	// install installs packages below a directory. A package is given as a name and a version,
	// joined by the separator in the field "at".
	install func(*bench, string, ...string) error
	at      string
	// chains lists packages, each with three consecutive versions.
	chains [][]string
}

// apps lists the applications to measure.
var apps = []app{
	{"django", (*bench).pip, "==", [][]string{
		{"django", "4.2.9", "4.2.10", "4.2.11"},
		{"djangorestframework", "3.14.0", "3.15.0", "3.15.1"},
		{"celery", "5.3.4", "5.3.5", "5.3.6"},
		{"pillow", "10.0.1", "10.1.0", "10.2.0"},
	}},
	{"data", (*bench).pip, "==", [][]string{
		{"numpy", "1.26.2", "1.26.3", "1.26.4"},
		{"pandas", "2.2.0", "2.2.1", "2.2.2"},
		{"scikit-learn", "1.3.0", "1.3.1", "1.3.2"},
		{"matplotlib", "3.8.2", "3.8.3", "3.8.4"},
		{"requests", "2.30.0", "2.31.0", "2.32.2"},
	}},
	{"flask", (*bench).pip, "==", [][]string{
		{"flask", "3.0.0", "3.0.1", "3.0.2"},
		{"werkzeug", "3.0.0", "3.0.1", "3.0.2"},
		{"sqlalchemy", "2.0.25", "2.0.26", "2.0.27"},
		{"cryptography", "42.0.1", "42.0.2", "42.0.3"},
	}},
	{"api", (*bench).pip, "==", [][]string{
		{"fastapi", "0.109.0", "0.109.1", "0.109.2"},
		{"pydantic", "2.6.0", "2.6.1", "2.6.2"},
		{"boto3", "1.34.40", "1.34.41", "1.34.42"},
	}},
	{"jupyter", (*bench).pip, "==", [][]string{
		{"jupyterlab", "4.0.10", "4.0.11", "4.0.12"},
		{"ipython", "8.19.0", "8.20.0", "8.21.0"},
		{"sympy", "1.11.1", "1.12", "1.12.1"},
	}},
	{"express", (*bench).npm, "@", [][]string{
		{"express", "4.18.1", "4.18.2", "4.18.3"},
		{"axios", "1.6.5", "1.6.6", "1.6.7"},
		{"mongoose", "8.1.0", "8.1.1", "8.1.2"},
		{"lodash", "4.17.19", "4.17.20", "4.17.21"},
	}},
	{"frontend", (*bench).npm, "@", [][]string{
		{"typescript", "5.3.2", "5.3.3", "5.4.2"},
		{"webpack", "5.90.1", "5.90.2", "5.90.3"},
		{"eslint", "8.55.0", "8.56.0", "8.57.0"},
		{"react-dom", "18.0.0", "18.1.0", "18.2.0"},
		{"date-fns", "3.3.0", "3.3.1", "3.4.0"},
	}},
}

// appLayouts lists the columns of the table. The first column shows the lower bound. Each of the
// other columns has its own options.
var appLayouts = []struct {
	name    string
	options []string
}{
	{"`--previous`", nil},
	{"2 %", []string{"--max-stale", "2%"}},
	{"5 %", []string{"--max-stale", "5%"}},
	{"10 %", []string{"--max-stale", "10%"}},
}

// pip installs into a virtual environment. Compiled Python contains the digests of its sources if
// SOURCE_DATE_EPOCH is set, or else their times.
func (b *bench) pip(dir string, packages ...string) error {
	if _, err := os.Stat(filepath.Join(dir, "pyvenv.cfg")); err != nil {
		if err := b.command(nil, "python3", "-m", "venv", "--without-pip", dir); err != nil {
			return err
		}
	}
	var env []string
	if b.pyc == "hash" {
		env = append(env, "SOURCE_DATE_EPOCH=1700000000")
	}
	args := []string{"-m", "pip", "--python", filepath.Join(dir, "bin/python"), "install", "--quiet", "--only-binary", ":all:"}
	if b.pyc == "none" {
		args = append(args, "--no-compile")
	}
	return b.command(env, "python3", append(args, packages...)...)
}

// npm installs into node_modules.
func (b *bench) npm(dir string, packages ...string) error {
	return b.command(nil, "npm", append([]string{
		"install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir,
	}, packages...)...)
}

func (b *bench) command(env []string, name string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// apps measures the applications whose names match. base is the root in which they are installed,
// or empty for no root.
func (b *bench) apps(only *regexp.Regexp, base string, limit int) error {
	fmt.Printf("| application | package | changed components |")
	for _, l := range appLayouts {
		fmt.Printf(" %s |", l.name)
	}
	fmt.Printf("\n| --- | --- | --- |%s\n", strings.Repeat(" --- |", len(appLayouts)))
	means := make([]mean, len(appLayouts))
	for _, a := range apps {
		if !only.MatchString(a.name) {
			continue
		}
		if err := b.app(a, base, limit, means); err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
	}
	fmt.Printf("| geometric mean | | 1 |")
	for _, m := range means {
		fmt.Printf(" %.2f |", m.value())
	}
	fmt.Println()
	return nil
}

// mean accumulates a geometric mean.
type mean struct{ sum, n float64 }

func (m *mean) add(v float64)  { m.sum, m.n = m.sum+math.Log(v), m.n+1 }
func (m *mean) value() float64 { return math.Exp(m.sum / m.n) }

// app updates the packages of an application, one package per build. It first updates each package
// to its second version, and then each package to its third version.
func (b *bench) app(a app, base string, limit int, means []mean) error {
	work := filepath.Join(b.dir, "app."+a.name)
	defer os.RemoveAll(work)
	c := &chain{bench: b, root: filepath.Join(work, "root"), work: work, limit: limit, has: make([]map[string]bool, len(appLayouts))}
	place := filepath.Join(c.root, "opt/app")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	if base != "" {
		if err := b.command(nil, "cp", "-a", base, c.root); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	var first []string
	for _, p := range a.chains {
		first = append(first, p[0]+a.at+p[1])
	}
	if err := a.install(b, place, first...); err != nil {
		return err
	}
	if _, _, err := c.step(); err != nil {
		return err
	}
	bounds, costs := make([]int64, len(a.chains)), make([][]int64, len(a.chains))
	for version := 2; version < len(a.chains[0]); version++ {
		for i, p := range a.chains {
			if err := a.install(b, place, p[0]+a.at+p[version]); err != nil {
				return err
			}
			bound, cost, err := c.step()
			if err != nil {
				return err
			}
			bounds[i] += bound
			costs[i] = sum(costs[i], cost)
		}
	}
	for i, p := range a.chains {
		fmt.Printf("| %s | %s %s | %s |", a.name, p[0], strings.Join(p[1:], ", "), megabytes(bounds[i]))
		for j, n := range costs[i] {
			fmt.Printf(" %s, %.2f |", megabytes(n), float64(n)/float64(bounds[i]))
			means[j].add(float64(n) / float64(bounds[i]))
		}
		fmt.Println()
	}
	return nil
}

func sum(a, b []int64) []int64 {
	if a == nil {
		return b
	}
	for i := range a {
		a[i] += b[i]
	}
	return a
}

// A chain is a root that is updated step by step. After each update, an image is built for each
// layout.
type chain struct {
	*bench
	root, work string
	limit, n   int
	before     *state
	has        []map[string]bool // by layout: the layers of the previous image
}

// step builds the images of the root in its current state. bound is the size of the changed
// components. costs contains, for each layout, the size of the layers that are not in the previous
// image.
func (c *chain) step() (bound int64, costs []int64, err error) {
	now, err := c.read(c.root)
	if err != nil {
		return 0, nil, err
	}
	if c.before != nil {
		_, bound = changed(c.before, now, component.tarSize)
	}
	c.before = now
	c.n++
	for i, l := range appLayouts {
		dir := filepath.Join(c.work, strconv.Itoa(i))
		ref := func(n int) string { return fmt.Sprintf("oci:%s:%d", dir, n) }
		args := []string{"build", "--quiet", "--rootfs", c.root, "--skip-special-files", "--max", strconv.Itoa(c.limit), "-o", ref(c.n)}
		if c.n > 1 {
			args = slices.Concat(args, []string{"--previous", ref(c.n - 1)}, l.options)
		}
		if err := c.command(nil, filepath.Join(c.bin, "chunkah"), args...); err != nil {
			return 0, nil, err
		}
		layers, err := readLayers(dir, strconv.Itoa(c.n))
		if err != nil {
			return 0, nil, err
		}
		is, cost := make(map[string]bool), int64(0)
		for _, l := range layers {
			is[l.Digest.String()] = true
			if !c.has[i][l.Digest.String()] {
				cost += l.Size
			}
		}
		c.has[i] = is
		costs = append(costs, cost)
	}
	return bound, costs, nil
}

// readLayers returns the layers of an image in a layout directory.
func readLayers(dir, ref string) ([]v1.Descriptor, error) {
	var index v1.Index
	if err := readJSON(filepath.Join(dir, v1.ImageIndexFile), &index); err != nil {
		return nil, err
	}
	for _, d := range index.Manifests {
		if d.Annotations[v1.AnnotationRefName] == ref {
			var manifest v1.Manifest
			err := readJSON(filepath.Join(dir, "blobs/sha256", d.Digest.Encoded()), &manifest)
			return manifest.Layers, err
		}
	}
	return nil, fmt.Errorf("%s has no image %q", dir, ref)
}

func readJSON(name string, v any) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}
