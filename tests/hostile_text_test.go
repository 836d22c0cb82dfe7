package tests

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/tests/mkimage"
	"chunkah/tests/mkroot"
)

// forged is a line that a hostile text tries to print.
const forged = "chunkah: all is well"

// hostileTexts contains, by name, strings that a terminal interprets.
var hostileTexts = map[string]string{
	"newline":   "a\n" + forged + "\nb",
	"return":    "a\r" + forged,
	"escape":    "a\x1b]0;owned\a\x1b[2J\x1b[1A",
	"backspace": "a\b\x7f\x0b\x0cb",
	"c1":        "a\u009b2J\u0085" + forged,
	"bidi":      "a\u202egnp\u2066x\u2069\u200f",
	"separator": "a\u2028" + forged + "\u2029",
	"bytes":     "a\xff\x9b2J\xc2",
}

// obeyed returns the first string in an output that a terminal would interpret, or an empty string.
func obeyed(out string) string {
	for line := range strings.SplitSeq(out, "\n") {
		if strings.HasPrefix(strings.TrimLeft(line, " "), forged) {
			return "a line of its own: " + strconv.Quote(line)
		}
		for i, r := range line {
			if _, n := utf8.DecodeRuneInString(line[i:]); r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
				return strconv.QuoteToASCII(string(line[i:min(len(line), i+4)])) + " in " + strconv.Quote(line)
			}
		}
	}
	return ""
}

// checkObeyed runs shell command lines, ignores their exit statuses, and checks standard output and
// standard error. Their roots and images are in dir.
func checkObeyed(t *testing.T, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		out, _ := cmd.CombinedOutput()
		if len(out) == 0 {
			t.Errorf("%q prints nothing", line)
		}
		if what := obeyed(string(out)); what != "" {
			t.Errorf("%q prints %s", line, what)
		}
	}
}

// Untrusted names, values and messages are printed only as text, and cannot start new lines.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for name, text := range hostileTexts {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			makeHostileText(t, dir, text)
			checkObeyed(t, dir, hostileLines(dir, text)...)
		})
	}
}

// makeHostileText fills the directory with roots (root, other, special), images, a plan and a map,
// all of which contain the text.
func makeHostileText(t *testing.T, dir, text string) {
	t.Helper()
	q := strconv.Quote
	name := strings.ReplaceAll(text, "/", "_")
	root := `
file ` + q("/opt/"+name) + ` text=hello xattr:user.component=` + q("component "+valid(text)) + `
file ` + q("/opt/plain") + ` text=x
file ` + q("/tmp/"+name) + ` text=x xattr:user.own=` + q(text) + `
symlink ` + q("/opt/link"+name) + ` to=` + q(name) + `
file ` + q("/var/lib/db/"+name+".sqlite-wal") + ` text=x
file /var/lib/dpkg/status text=` + q("Package: "+text+"\nStatus: install ok installed\nVersion: 1\n\nPackage: x\nStatus: "+text+"\n\n") + `
file /var/lib/dpkg/info/` + "x.list text=" + q("/opt/plain\n"+text+"\n") + `
file /usr/lib/python3/dist-packages/a-1.dist-info/METADATA text=` + q("Name: "+text+"\nVersion: 1\n") + `
file /usr/lib/python3/dist-packages/a-1.dist-info/RECORD text=` + q("a,"+text+",1\n"+text+",,\n") + `
file /usr/lib/node_modules/x/package.json text=` + q(`{"name":`+jsonText(text)+`,"version":"1"}`) + "\n"
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(mkroot.Write(filepath.Join(dir, "root"), root))
	check(mkroot.Write(filepath.Join(dir, "other"), "file "+q("/opt/other"+name)+" text=x xattr:user.own="+q(text)+"\n"))
	check(mkroot.Write(filepath.Join(dir, "special"), "fifo "+q("/run/"+name)+"\nfile "+q("/run/.wh."+name)+" text=x\n"))
	check(os.WriteFile(filepath.Join(dir, "map"), []byte(valid(strings.ReplaceAll(text, "\n", ""))+": /opt/plain\n"), 0o644))
	config := `{"architecture":"amd64","os":"linux","config":{"Env":[` + jsonText("A="+text) + `],"User":` + jsonText(text) +
		`,"Labels":{` + jsonText("l"+text) + `:` + jsonText(text) + `}}}`
	check(os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644))
	check(os.WriteFile(filepath.Join(dir, "wrong.json"), []byte(`{`+jsonText(text)+`:1,"config":{"Env":`+jsonText(text)+`,"User":[`+jsonText(text)+`]}}`), 0o644))
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("chunkah", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	run("build", "--rootfs", "root", "--arch", "amd64", "--config", "config.json", "--annotation", "a="+valid(text), "-o", "oci:image", "--plan", "plan")
	run("build", "--rootfs", "other", "--arch", "amd64", "-o", "oci:image2")
	faulty := &mkimage.Image{Layers: []mkimage.Layer{{
		Tar:     mkimage.Tar(t, mkimage.File("opt/"+name, "x"), mkimage.File("opt/"+name, "y"), mkimage.Link("opt/l"+name, "opt/none"+name), mkimage.File("../"+name, "x")),
		History: v1.History{CreatedBy: valid(text), Comment: valid(text)}, Annotations: map[string]string{"a" + valid(text): valid(text)},
	}}}
	check(os.Rename(faulty.Layout(t), filepath.Join(dir, "faulty")))
}

// valid converts a string to valid UTF-8, which is required in a component's name.
func valid(s string) string { return strings.ToValidUTF8(s, "?") }

// jsonText encodes a string as JSON with as few escapes as possible.
func jsonText(s string) string {
	return `"` + strings.NewReplacer("\n", `\n`, "\r", `\r`, "\x1b", `\u001b`, "\a", `\u0007`, "\b", `\b`, "\x0b", `\u000b`, "\f", `\f`).Replace(valid(s)) + `"`
}

// hostileLines returns commands for each kind of output: messages, errors, tables, plans and pages.
func hostileLines(dir, text string) []string {
	word := "'" + text + "'"
	stream := "chunkah-scan root | chunkah-assign 2>&1"
	return []string{
		"chunkah build --rootfs root -vv -o out",
		"chunkah build --rootfs root -q --explain -o out2",
		"chunkah build --rootfs root -q --explain --json -o out3",
		"chunkah build --rootfs root --explain -o - >/dev/null",
		"chunkah build --rootfs root -vv --log json -o out4",
		"chunkah build --rootfs root --plan - -o out5",
		"chunkah build --rootfs root --write-manifest-to manifest -o out5; cat manifest",
		"chunkah build --rootfs root --metrics metrics -o out5; cat metrics",
		"chunkah build --rootfs root --map map --max-layer-size 1 -vv -o out6",
		"chunkah build --rootfs root --verify -vv -o out7",
		"chunkah build --rootfs root --previous plan -vv -o out8",
		"chunkah build --rootfs root --previous oci:image -vv -o out9",
		"chunkah build --rootfs root --config wrong.json -o out10",
		"chunkah build --rootfs root --prune " + word + " -o out11",
		"chunkah build --rootfs " + word + " -o out12",
		"chunkah build --rootfs root -o oci:" + word + "/none/none",
		"chunkah build --rootfs root -o " + word + "/none",
		"chunkah build --rootfs root -t " + word + " -o out13",
		"chunkah build --rootfs root --xattr " + word,
		"chunkah build -n --rootfs " + word + " -o out14",
		"chunkah build --rootfs special -o out15",
		"chunkah build --rootfs special --skip-special-files --prune /run/.wh.* -vv -o out15",
		"chunkah build --from oci:faulty -o out16",
		"chunkah " + word, "chunkah build " + word, "chunkah build --" + word,
		"chunkah-scan root", "chunkah-scan root --log json -vv", "chunkah-scan special",
		stream, stream + " | chunkah-pack -vv", stream + " | chunkah-pack --explain", stream + " | chunkah-pack -vv | chunkah-write -vv -o out17",
		"chunkah-scan root | chunkah-assign -vv --summary", "chunkah-scan root | chunkah-assign -vv --map map --explain /opt/plain",
		"chunkah-scan root | chunkah-assign --explain " + "'/opt/" + strings.ReplaceAll(text, "/", "_") + "'",
		"chunkah-scan root | chunkah-assign --repos " + word,
		"printf %s " + word + " | chunkah-assign", "printf %s " + word + " | chunkah-pack", "chunkah-pack --previous config.json < /dev/null",
		"chunkah diff root other", "chunkah diff oci:image oci:image2", "chunkah diff --json oci:image oci:image2", "chunkah diff oci:image2 dir:root",
		"chunkah doctor root", "chunkah doctor --json root", "chunkah doctor special", "chunkah doctor oci:image",
		"chunkah inspect oci:image", "chunkah inspect --components oci:image", "chunkah inspect --tree oci:image", "chunkah inspect --json oci:image",
		"chunkah inspect --tree --json oci:image", "chunkah inspect --html - oci:image", "for i in 0 1 2 3; do chunkah inspect --files $i oci:image; chunkah inspect --files $i --json oci:image; done",
		"chunkah inspect -vv oci:faulty",
		"chunkah reuse oci:image2 oci:image", "chunkah reuse --json oci:image2 oci:image", "chunkah reuse --components oci:image2 oci:image oci:image2",
		"chunkah reuse --html - oci:image2 oci:image",
		"chunkah verify oci:faulty", "chunkah verify --json oci:faulty", "chunkah verify -vv oci:image", "chunkah verify oci:" + word,
		"chunkah index oci:image oci:" + word + " -o oci:joined", "chunkah index -vv oci:image -o oci:joined",
	}
}

// Error messages from a registry are also printed only as text.
func TestHostileRegistryText(t *testing.T) {
	dir := t.TempDir()
	if err := mkroot.Write(filepath.Join(dir, "root"), "file /f text=x\n"); err != nil {
		t.Fatal(err)
	}
	for name, text := range hostileTexts {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				w.Header().Set("Content-Type", v1.MediaTypeImageManifest)
				if strings.Contains(r.URL.Path, "/media") {
					w.Write([]byte(`{"mediaType":` + jsonText(text) + `,` + jsonText(text) + `:1}`))
					return
				}
				w.WriteHeader(http.StatusForbidden)
				w.Write([]byte(`{"errors":[{"code":` + jsonText("DENIED"+text) + `,"message":` + jsonText(text) + `}]}`))
			}))
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			checkObeyed(t, dir, "chunkah inspect docker://"+host+"/a/b", "chunkah inspect docker://"+host+"/media/b", "chunkah verify docker://"+host+"/media/b",
				"chunkah build --rootfs root -o docker://"+host+"/a/b", "chunkah build --log json --rootfs root -o docker://"+host+"/a/b")
		})
	}
}
