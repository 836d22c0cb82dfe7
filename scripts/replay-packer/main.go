// Replay-packer is chunkah's grouping as a command, for replays of update histories.
//
// A replay builds an image for each week of a real history and computes what a client would
// download. It runs this command once per image:
//
//	K           layers at most
//	NOW         unix seconds of the build
//	STEP_DAYS   days between images; read by other packers, not used here
//	PREV        empty, or a file with the last image's layout: one JSON object
//	            {"name":…,"layer":N,"changed":bool} per component
//	STATE       empty, or a file for what the last images showed, which each
//	            run with PREV replaces; delete it before the first image
//	stdin       one JSON object per component: {"name":…,"size":…,"updates":[…]}
//	            with the updates that are known at NOW; other fields are ignored
//	stdout      one layer number per component, in the order of the input
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"chunkah/lib/group"
)

func main() {
	if err := run(os.Stdin, os.Stdout, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "replay-packer:", err)
		os.Exit(1)
	}
}

// The two fingerprints that represent a component's state: unchanged or changed.
const (
	same    = "same"
	changed = "changed"
)

func run(in io.Reader, out io.Writer, env func(string) string) error {
	limit, err := strconv.Atoi(env("K"))
	if err != nil {
		return fmt.Errorf("reading K: %w", err)
	}
	now, err := strconv.ParseInt(env("NOW"), 10, 64)
	if err != nil {
		return fmt.Errorf("reading NOW: %w", err)
	}
	opt := group.Options{Max: limit, Now: now}
	if path := env("PREV"); path != "" {
		if opt.Previous, err = readPrevious(path); err != nil {
			return err
		}
	}
	components, err := readComponents(in)
	if err != nil {
		return err
	}
	if path := env("STATE"); path != "" && opt.Previous != nil {
		if err := learn(path, components, opt.Previous); err != nil {
			return err
		}
	}
	layer := make([]int, len(components))
	for n, l := range group.Plan(components, opt) {
		for _, c := range l.Members {
			layer[c] = n
		}
	}
	for _, n := range layer {
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
	}
	return nil
}

// learn updates the file that records what the previous images showed.
func learn(path string, components []group.Component, prev *group.Previous) error {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &prev.Learned)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading %q: %w", path, err)
	}
	state := make(map[string]group.Learned)
	for i, l := range group.Learn(components, prev) {
		state[components[i].Name], components[i].Surprises = l, l.Surprises
	}
	if data, err = json.Marshal(state); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func readComponents(in io.Reader) ([]group.Component, error) {
	var out []group.Component
	dec := json.NewDecoder(in)
	for {
		var c struct {
			Name    string
			Size    int64
			Updates []int64
		}
		if err := dec.Decode(&c); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading component %d: %w", len(out)+1, err)
		}
		out = append(out, group.Component{Name: c.Name, Size: c.Size, Updates: c.Updates, Fingerprint: same})
	}
}

func readPrevious(path string) (*group.Previous, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	at := map[int]int{} // layer number -> index
	prev := new(group.Previous)
	dec := json.NewDecoder(f)
	for n := 1; ; n++ {
		var m struct {
			Name    string
			Layer   int
			Changed bool
		}
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return prev, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading %q: member %d: %w", path, n, err)
		}
		i, ok := at[m.Layer]
		if !ok {
			i = len(prev.Layers)
			at[m.Layer] = i
			prev.Layers = append(prev.Layers, nil)
		}
		mark := same
		if m.Changed {
			mark = changed
		}
		prev.Layers[i] = append(prev.Layers[i], group.Member{Name: m.Name, Fingerprint: mark})
	}
}
