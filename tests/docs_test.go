package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
	"chunkah/tests/mkroot"
)

// documented is the root that docs/components.md and docs/inspect.md speak of.
const documented = parcels + `
file /var/lib/dpkg/info/bash.list text="/usr\n/usr/bin\n/usr/bin/bash\n"
file /usr/bin/bash size=1200000
file /etc/app.conf text="answer=6"
file /srv/app/main.py text="print(1)"
file /srv/app/models/large.bin size=3000000
file /srv/app/static/logo.png size=5000
file /opt/tools/readme.txt text="read me"
file /opt/venv/lib/python3.13/site-packages/idna/core.py size=13000
file /opt/venv/lib/python3.13/site-packages/idna-3.10.dist-info/RECORD text="idna/core.py,,\nidna-3.10.dist-info/RECORD,,\n"
file /srv/web/node_modules/express/package.json text="{\"name\": \"express\"}"
file /srv/web/node_modules/express/index.js size=200000
`

// Every command of these pages says what stands there.
func TestDocumentedCommands(t *testing.T) {
	clients.Need(t, "jq", "python3")
	for _, page := range []struct {
		name  string
		least int // commands: a page that lost its blocks would pass
	}{{"components.md", 6}, {"inspect.md", 8}} {
		t.Run(page.name, func(t *testing.T) {
			dir := t.TempDir()
			spec := strings.Replace(documented, `text="Package: tool\n`, `text="Package: bash\nStatus: install ok installed\nVersion: 5\n\nPackage: tool\n`, 1)
			if err := mkroot.Write(filepath.Join(dir, "root"), spec); err != nil {
				t.Fatal(err)
			}
			if n := runPage(t, page.name, dir); n < page.least {
				t.Errorf("there are %d commands", n)
			}
		})
	}
}

// runPage runs the commands of a page in a folder and counts them. A block of text
// whose fence names a file is that file; in a console block a line after "$ " is a
// command, with what it prints below.
func runPage(t *testing.T, name, dir string) (n int) {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Abs("../scripts")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split("\n"+string(text), "\n```") {
		info, body, _ := strings.Cut(block, "\n")
		language, file, _ := strings.Cut(info, " ")
		switch {
		case i%2 == 0: // between the blocks
		case file != "":
			if err := os.WriteFile(filepath.Join(dir, file), []byte(body+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		case language == "console":
			for _, command := range strings.Split("\n"+body, "\n$ ")[1:] {
				line, want, _ := strings.Cut(command, "\n")
				cmd := exec.Command("bash", "-o", "pipefail", "-c", line)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+scripts)
				out, err := cmd.CombinedOutput()
				if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != want {
					t.Errorf("%s: %v\n%s\nwant\n%s", line, err, got, want)
				}
				n++
			}
		}
	}
	return n
}
