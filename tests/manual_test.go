package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"chunkah/tests/clients"
)

// mandoc and man report no warnings about any command's manual page, and the same definitions
// result in the same pages.
func TestManualPages(t *testing.T) {
	t.Parallel()
	clients.Need(t, "mandoc", "man")
	share := filepath.Join(installation(t), "share")
	pages, err := filepath.Glob(filepath.Join(share, "man/man[15]/*"))
	if err != nil || len(pages) < 9 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, page := range pages {
		// The only style warning is a long line in an example, which must stay on one line.
		if out, _ := exec.Command("mandoc", "-Tlint", page).CombinedOutput(); hasFault(string(out)) {
			t.Errorf("%s", out)
		}
		var complaints strings.Builder
		man := exec.Command("man", "--warnings=w", "-l", page)
		man.Env = append(os.Environ(), "MANWIDTH=120", "LC_ALL=C.UTF-8")
		man.Stderr = &complaints
		text, err := man.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", page, err, complaints.String())
		}
		if name, _, _ := strings.Cut(filepath.Base(page), "."); !strings.Contains(string(text), strings.ToUpper(name)+"(") || !strings.Contains(string(text), "2023-11-14") {
			t.Errorf("%s has no head and foot", page)
		}
	}
	help := clients.Run(t, exec.Command("chunkah", "--help"))
	for line := range strings.Lines(help) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(line, "  ") && !strings.Contains(name, "-") {
			if _, err := os.Stat(filepath.Join(share, "man/man1/chunkah-"+name+".1")); err != nil && name != "chunkah" {
				t.Error(err)
			}
		}
	}
}

// hasFault reports whether a lint found more than style.
func hasFault(lint string) bool {
	for line := range strings.Lines(lint) {
		if !strings.Contains(line, ": STYLE: input text line longer than 80 bytes") {
			return true
		}
	}
	return false
}

func TestManualReproducible(t *testing.T) {
	t.Parallel()
	clients.Need(t, "diff")
	manual := filepath.Join(t.TempDir(), "manual")
	clients.Run(t, exec.Command("go", "build", "-trimpath", "-o", manual, "../scripts/manual"))
	var dirs [2]string
	for i := range dirs {
		dirs[i] = t.TempDir()
		cmd := exec.Command(manual, dirs[i], "v1")
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000", "TZ=Asia/Tokyo", "COLUMNS="+strings.Repeat("1", i+2))
		clients.Run(t, cmd)
	}
	clients.Run(t, exec.Command("diff", "-r", dirs[0], dirs[1]))
}
