package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"chunkah/format"
	tars "chunkah/lib/layer"
)

// component contains the data that a build uses about a component.
type component struct {
	name        string
	updates     []int64 // unix seconds
	fingerprint string
	size        int64 // total size of its regular files, in bytes
	tars        int64 // total size of its files in a tar, without directories
}

func (c component) fileSize() int64 { return c.size }
func (c component) tarSize() int64  { return c.tars }

// state contains the input of pack for a root.
type state struct {
	now        int64 // unix seconds of the newest file
	components []component
}

// read runs a root through the first three stages.
func (b *bench) read(root string) (*state, error) {
	line := `"$0/chunkah-scan" --skip-special-files "$1" | "$0/chunkah-assign" | "$0/chunkah-pack" --format msgpack`
	cmd := exec.CommandContext(b.ctx, "bash", "-o", "pipefail", "-c", line, b.bin, root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &state{}
	at := map[string]int{}
	for rec, err := range format.All(format.NewReader(out, root)) {
		if err != nil {
			return nil, err
		}
		switch rec := rec.(type) {
		case *format.Header:
			s.now = rec.NewestMtime
		case *format.Component:
			at[rec.Name] = len(s.components)
			s.components = append(s.components, component{name: rec.Name, updates: rec.Updates, fingerprint: rec.Fingerprint})
		case *format.File:
			if rec.Type == format.TypeDir {
				continue
			}
			c := &s.components[at[rec.Components[0]]]
			c.tars += tars.EntrySize(rec)
			if rec.Type == format.TypeFile {
				c.size += rec.Size
			}
		}
	}
	return s, cmd.Wait()
}

// changed adds up the components that are new or changed since the old root.
func changed(before, after *state, size func(component) int64) (n int, bytes int64) {
	was := map[string]string{}
	for _, c := range before.components {
		was[c.name] = c.fingerprint
	}
	for _, c := range after.components {
		if was[c.name] != c.fingerprint {
			n, bytes = n+1, bytes+size(c)
		}
	}
	return n, bytes
}

// sources returns the versions of a root's source packages, by name.
func (b *bench) sources(root string) (map[string]string, error) {
	out, err := exec.CommandContext(b.ctx, "dpkg-query", "--admindir", filepath.Join(root, "var/lib/dpkg"), "--show",
		"--showformat", "${source:Package} ${source:Version}\n").Output()
	if err != nil {
		return nil, fmt.Errorf("dpkg-query: %w", err)
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		versions[name] = version
	}
	return versions, nil
}

// writePlan writes groups of components as a plan, so that a build produces exactly these layers.
func writePlan(name string, groups [][]component) error {
	var b strings.Builder
	for i, g := range groups {
		rec := &format.Layer{Index: int64(i)}
		for _, c := range g {
			rec.Components = append(rec.Components, c.name)
		}
		sort.Strings(rec.Components)
		line, err := format.Line(rec)
		if err != nil {
			return err
		}
		b.WriteString(line + "\n")
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}
