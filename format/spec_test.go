package format

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func readSpec(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the first code block in SPEC.md in a given language.
func block(t *testing.T, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(readSpec(t), "```"+language+"\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("SPEC.md has no block of %s", language)
	}
	return code
}

func TestSpecExampleIsInTheOneSpelling(t *testing.T) {
	example := block(t, "jsonl")
	recs, err := readAll(strings.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, JSON, recs); string(got) != example {
		t.Errorf("got\n%s\nwant\n%s", got, example)
	}
}

// TestSpecStages runs the stages exactly as SPEC.md prints them.
func TestSpecStages(t *testing.T) {
	input := write(t, JSON, []Record{
		&Header{Version: 1, Stage: StageScan, Root: "/r\xff"},
		&File{Path: "/", Type: TypeDir, Mode: 0o755},
		&File{Path: "/etc/caf\xe9", Type: TypeFile, Mode: 0o600, Size: MaxInt, MTime: -MaxInt},
		&File{Path: "/etc/own", Type: TypeFile, Mode: 0o600, Components: []string{"mine"}},
		&File{Path: "/usr/é😀\n\"", Type: TypeSymlink, Mode: 0o777, Target: "\xfe", Xattrs: []Xattr{{"user.a", []byte{0, 255}}}},
	})
	want := [][]string{{"dir/"}, {"dir/etc"}, {"mine"}, {"dir/usr"}}
	for name, command := range map[string][]string{
		"jq":     {"jq", "-c", block(t, "jq")},
		"python": {"python3", "-c", block(t, "python")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				if os.Getenv("CHUNKAH_TEST_STRICT") == "1" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			for _, locale := range []string{"C", "C.UTF-8"} {
				cmd := exec.Command(command[0], command[1:]...)
				cmd.Env = append(os.Environ(), "LC_ALL="+locale)
				cmd.Stdin = bytes.NewReader(input)
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				checkStage(t, input, out, want)
			}
		})
	}
}

// checkStage expects the records of the input, with the given components on its files.
func checkStage(t *testing.T, input, output []byte, components [][]string) {
	t.Helper()
	want, err := readAll(bytes.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, rec := range want {
		if f, ok := rec.(*File); ok {
			f.Components = components[n]
			n++
		}
	}
	got, err := readAll(bytes.NewReader(output))
	if err != nil {
		t.Fatalf("reading %s: %v", output, err)
	}
	if a, b := write(t, JSON, got), write(t, JSON, want); !bytes.Equal(a, b) {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

// Every field in the code is in a table of SPEC.md, and every limit is the same.
func TestSpecNamesFieldsAndLimits(t *testing.T) {
	spec := readSpec(t)
	names, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	fields := regexp.MustCompile(`= "(\w+)"`).FindAllStringSubmatch(string(names), -1)
	if len(fields) < 30 {
		t.Fatalf("found %d names", len(fields))
	}
	for _, f := range fields {
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + f[1] + "`").MatchString(spec) {
			t.Errorf("field %s is not in SPEC.md", f[1])
		}
	}
	for name, value := range map[string]int64{
		"MaxRecord": MaxRecord, "MaxPath": MaxPath, "MaxName": MaxName, "MaxTarget": MaxTarget, "MaxXattrName": MaxXattrName,
		"MaxXattrValue": MaxXattrValue, "MaxXattrs": MaxXattrs, "MaxText": MaxText, "MaxList": MaxList, "MaxComponents": MaxComponents, "MaxInt": MaxInt,
	} {
		if !strings.Contains(spec, name+") | "+fmt.Sprint(value)) {
			t.Errorf("limit %s is not %d in SPEC.md", name, value)
		}
	}
	if lines := strings.Count(spec, "\n"); lines >= 300 {
		t.Errorf("SPEC.md has %d lines, want less than 300", lines)
	}
}
