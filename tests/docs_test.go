package tests

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// A block is a fenced code block of a page. The text after the fence specifies its kind:
//
//	sh            commands to run
//	sh untested   commands that cannot be run here; the page explains why
//	console       "$ " and a command to run, with its output below; a line "…" matches any
//	              number of lines, and "…" at the end of a line matches the rest of the line
//	              and any number of lines
//	console fails the same as console, but the command must fail
//	LANGUAGE FILE the contents of FILE, which is written
//
// Anything else is not run.
type block struct {
	line       int
	kind, file string
	text       string
}

// blocksOf returns the blocks of a page.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			kind, file, _ := strings.Cut(fence, " ")
			open = &block{line: i + 1, kind: kind, file: file}
		case isFence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block does not end", page, open.line)
	}
	return blocks
}

// A document is a page of the documentation. Its commands run in a directory of their own.
type document struct {
	t    *testing.T
	name string
	dir  string
	env  []string
	// registry replaces registry.example, if it is set.
	registry string
	tls      bool
	// after, if set, checks the result of a block of commands.
	after func(b block)
}

// pages lists all pages with commands, each with a function that prepares its directory.
var pages = map[string]func(p *document){
	"README.md":                  readmePage,
	"docs/clients.md":            inspectPage,
	"docs/components.md":         componentsPage,
	"docs/doctor.md":             doctorPage,
	"docs/extract.md":            inspectPage,
	"docs/images.md":             referencePage,
	"docs/inspect.md":            inspectPage,
	"docs/messages.md":           messagesPage,
	"docs/migration.md":          migrationPage,
	"docs/options.md":            optionsPage,
	"docs/partial-pulls.md":      referencePage,
	"docs/patch-layers.md":       referencePage,
	"docs/plans.md":              referencePage,
	"docs/registries.md":         referencePage,
	"docs/sbom.md":               referencePage,
	"docs/stages.md":             referencePage,
	"docs/troubleshooting.md":    troublePage,
	"docs/tutorial.md":           tutorialPage,
	"docs/verify.md":             referencePage,
	"docs/recipes/podman.md":     enginePage,
	"docs/recipes/buildah.md":    enginePage,
	"docs/recipes/docker.md":     dockerPage,
	"docs/recipes/bootc.md":      bootcPage,
	"docs/recipes/github.md":     workflowPage,
	"docs/recipes/gitlab.md":     gitlabPage,
	"docs/recipes/kubernetes.md": podPage,
	"docs/recipes/signing.md":    signingPage,
	"docs/recipes/tarballs.md":   tarballPage,
}

// Every command in the documentation is run, and must print the output that the page shows.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	for name, setUp := range pages {
		t.Run(strings.TrimSuffix(name, ".md"), func(t *testing.T) {
			t.Parallel()
			p := &document{t: t, name: name, dir: t.TempDir(), env: os.Environ()}
			setUp(p)
			for _, b := range blocksOf(t, name) {
				p.run(b)
			}
		})
	}
}

// No page contains commands that are not run.
func TestCommandsAreMarked(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../docs/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`(?m)^(\$ |(chunkah|chunkah-\w+|bin/chunkah|podman|buildah|docker|skopeo|make|git|go|cat|tar) )`)
	for _, file := range slices.Concat([]string{"../README.md"}, files, more) {
		name := strings.TrimPrefix(file, "../")
		for _, b := range blocksOf(t, name) {
			switch {
			case b.kind == "sh" || b.kind == "console":
				if pages[name] == nil {
					t.Errorf("%s:%d: the commands are not run: the page is not in pages", name, b.line)
				}
			case b.file == "" && command.MatchString(b.text):
				t.Errorf("%s:%d: the block has commands, and is not marked as sh or console", name, b.line)
			}
		}
	}
}

// Tests that are named in pages exist.
func TestNamedTestsExist(t *testing.T) {
	have := make(map[string]bool)
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`")
	var pages []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2:
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(text, -1) {
				have[string(m[1])] = true
			}
			return err
		case strings.HasSuffix(path, ".md"):
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(text, -1) {
			if n++; !have[string(m[1])] {
				t.Errorf("%s names %s, which is not a test", path, m[1])
			}
		}
	}
	// docs/guarantees.md names more tests than this.
	if n < 10 {
		t.Errorf("%d tests are named", n)
	}
}

// Links in the pages are valid, including those to headings, and each page in docs is linked from
// another page.
func TestLinksLeadSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md", "../format/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	read := func(page string) string {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	link := regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	n, linked := 0, make(map[string]bool)
	for _, page := range pages {
		for i, line := range strings.Split(read(page), "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				n++
				target := page
				if m[1] != "" {
					target = filepath.Join(filepath.Dir(page), m[1])
				}
				linked[target] = true
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s:%d: %v", page, i+1, err)
				} else if m[2] != "" && !slices.Contains(anchors(read(target)), m[2]) {
					t.Errorf("%s:%d: %s has no heading %s", page, i+1, target, m[2])
				}
			}
		}
	}
	for _, page := range pages {
		if strings.HasPrefix(page, "../docs/") && !linked[page] {
			t.Errorf("nothing leads to %s", page)
		}
	}
	if n < 30 {
		t.Errorf("%d links were found", n)
	}
}

// anchors returns the anchors of a page's headings.
func anchors(page string) []string {
	var list []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		list = append(list, "#"+strings.ReplaceAll(name, " ", "-"))
	}
	return list
}

// run runs or writes the block.
func (p *document) run(b block) {
	p.t.Helper()
	switch {
	case b.kind == "sh" && b.file == "untested":
		cmd := exec.Command("bash", "-n")
		cmd.Stdin = strings.NewReader(b.text)
		if out, err := cmd.CombinedOutput(); err != nil {
			p.t.Errorf("%s:%d: %v\n%s", p.name, b.line, err, out)
		}
	case b.kind == "sh":
		if out, err := p.shell(b.text); err != nil {
			p.t.Errorf("%s:%d: %v\n%s\n%s", p.name, b.line, err, b.text, out)
		} else if p.after != nil {
			p.after(b)
		}
	case b.kind == "console":
		for _, command := range strings.Split("\n"+b.text, "\n$ ")[1:] {
			line, want, _ := strings.Cut(command, "\n")
			got, err := p.shell(line)
			if (err != nil) != (b.file == "fails") || !matches(want, got) {
				p.t.Errorf("%s:%d: %s: %v\n%s\nwant\n%s", p.name, b.line, line, err, got, want)
			}
		}
	case b.file != "":
		path := filepath.Join(p.dir, b.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(p.hosts(b.text)), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// hosts replaces the page's registry with the registry of the test.
func (p *document) hosts(text string) string {
	if p.registry == "" {
		return text
	}
	return strings.ReplaceAll(text, "registry.example", p.registry)
}

// shell runs commands as a reader of the page would, and returns their output.
func (p *document) shell(text string) (string, error) {
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", p.hosts(text))
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	said := string(out)
	if p.registry != "" {
		said = strings.ReplaceAll(said, p.registry, "registry.example")
	}
	return said, err
}

// matches compares a command's output with the page. A line "…" in the page matches any number of
// lines.
func matches(want, got string) bool {
	want = strings.TrimRight(want, "\n")
	pattern := strings.ReplaceAll(regexp.QuoteMeta("\n"+want), "\n…", "(\n.*)*")
	pattern = strings.ReplaceAll(pattern, "…", "(?s:.*)")
	return regexp.MustCompile("^" + pattern + "$").MatchString("\n" + strings.TrimRight(got, "\n"))
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"", "", true},
		{"", "a\n", false},
		{"a\n", "a\n", true},
		{"a\n", "a\nb\n", false},
		{"a.c\n", "abc\n", false},
		{"…\nb\n", "a\nb\n", true},
		{"a\n…\n", "a\nb\nc\n", true},
		{"a\n…\nz\n", "a\nz\n", true},
		{"a\n…\nz\n", "a\nb\n", false},
		{"a…\nz\n", "abc\nd\nz\n", true},
		{"a…\nz\n", "b\nz\n", false},
	} {
		if matches(c.want, c.got) != c.ok {
			t.Errorf("%q and %q: want %v", c.want, c.got, c.ok)
		}
	}
}

// setenv adds a variable to the environment of the page's commands.
func (p *document) setenv(name, value string) { p.env = append(p.env, name+"="+value) }

// path puts a directory of the repository at the front of PATH.
func (p *document) path(folder string) {
	abs, err := filepath.Abs(filepath.Join("..", folder))
	if err != nil {
		p.t.Fatal(err)
	}
	p.setenv("PATH", abs+":"+os.Getenv("PATH"))
}

// copyFile copies a file into the page's directory.
func (p *document) copyFile(name string) {
	b, err := os.ReadFile(name)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, filepath.Base(name)), b, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// engine sets up separate storage for the page's podman, buildah and skopeo.
func (p *document) engine() *clients.Engine {
	e := clients.NewEngine(p.t)
	p.env = append(p.env, e.Env()...)
	return e
}

// local starts a registry for registry.example, without a password or TLS.
func (p *document) local() { p.registry = clients.NewRegistry(p.t, clients.RegistryOptions{}) }

// secured starts a registry for registry.example with a password and TLS.
func (p *document) secured() {
	certs := authority(p.t)
	p.registry = clients.NewRegistry(p.t, clients.RegistryOptions{
		Password: true, Cert: filepath.Join(certs, "server.pem"), Key: filepath.Join(certs, "server.key"),
	})
	p.tls = true
	p.setenv("SSL_CERT_FILE", filepath.Join(certs, "ca.crt"))
}
