// Package jvm is the component repo of Java runtimes that were unpacked anywhere in a tree:
// Temurin, GraalVM and others in /opt or /usr/lib/jvm, and runtimes made by jlink. A runtime is a
// directory that contains bin/java and a file named release, which describes the runtime.
//
// A component is named after the vendor and the feature version of the runtime:
// "jvm/eclipse-adoptium-21". Runtimes with the same name in one directory are one component.
// Runtimes with that name in another directory are "jvm/NAME@DIRECTORY" (see package places). A
// runtime owns everything in its directory.
//
// A release file that cannot be read causes a warning. The runtime is then called "java".
package jvm

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"chunkah/format"
	"chunkah/lib/assign"
	"chunkah/lib/repo/places"
)

const (
	repoName = "jvm"
	// unknown is the name of a runtime without a known vendor.
	unknown = "java"
	// maxRelease is the largest size of a release file, in bytes. Release files are one or two kB.
	maxRelease = 64 << 10
	// maxName is the longest vendor name in a release file, in bytes.
	maxName = 64
)

// Repo is the jvm repo.
type Repo struct{}

// Name implements assign.Repo.
func (Repo) Name() string { return repoName }

// Load implements assign.Repo.
func (Repo) Load(ctx context.Context, t *assign.Tree) (*assign.Result, error) {
	out := places.New(repoName, t)
	homes := find(t)
	for _, home := range places.Outermost(homes) { // a JRE is a part of its JDK
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		name, r, fault, err := read(t, homes[home])
		if err != nil {
			return nil, err
		}
		p := out.Add(format.Parent(home), name)
		if fault != nil {
			out.Warn("runtime %q: %v", home, fault)
		} else {
			p.Type, p.Namespace, p.Name, p.Version = "generic", r.maker, "java", r.full
			out.Released(p, homes[home], r.released)
		}
		out.ClaimBelow(p, home)
	}
	return out.Result(), nil
}

// find returns the directories of runtimes, each with the record of its release file.
func find(t *assign.Tree) map[string]int {
	homes := make(map[string]int)
	for i, f := range t.Files {
		home, found := strings.CutSuffix(f.Path, "/release")
		if !found || home == "" || f.Type != format.TypeFile {
			continue
		}
		program, found := t.Lookup(home + "/bin/java")
		if found && t.Files[program].Type == format.TypeFile && !t.Claimed(program) {
			homes[home] = i
		}
	}
	return homes
}

// read returns the name of the runtime that a release file describes.
func read(t *assign.Tree, record int) (name string, r about, fault, err error) {
	raw, fault, err := places.ReadRecord(t, record, maxRelease)
	if fault != nil || err != nil {
		return unknown, r, fault, err
	}
	if r = parse(raw); r.feature == "" {
		return unknown, r, fmt.Errorf("%q contains no JAVA_VERSION", t.Files[record].Path), nil
	}
	return r.maker + "-" + r.feature, r, nil, nil
}

// about contains the fields of a release file that are used.
type about struct {
	maker string // in lower case, with dashes
	// feature is the feature version: 8 for "1.8.0_392", 21 for "21.0.1". It is empty if the file
	// names no version.
	feature, full string
	released      time.Time
}

// parse reads a release file.
func parse(raw []byte) about {
	r := about{maker: unknown}
	for line := range bytes.Lines(raw) {
		key, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte("="))
		text := strings.Trim(string(value), `"`)
		switch string(key) {
		case "IMPLEMENTOR":
			if name := slug(text); name != "" {
				r.maker = name
			}
		case "JAVA_VERSION_DATE":
			r.released = places.ParseTime(text, time.DateOnly)
		case "JAVA_VERSION":
			digits := strings.TrimPrefix(text, "1.")
			end := strings.IndexFunc(digits+".", func(r rune) bool { return r < '0' || r > '9' })
			r.feature, r.full = digits[:min(end, maxName)], format.Text(text[:min(len(text), maxName)])
		}
	}
	return r
}

// slug converts a name to lower-case letters, digits and dashes.
func slug(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text[:min(len(text), maxName)]), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}
