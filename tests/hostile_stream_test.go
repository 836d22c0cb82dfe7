package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"chunkah/tests/mkroot"
)

// deadline is the time after which a stage that must refuse its input is treated as hanging. All
// stages need far less time.
const deadline = 2 * time.Minute

// A hostileStream is a stream that one of the three reading stages must refuse. "@" in its records
// is replaced with a directory that contains a root, and files outside the root.
type hostileStream struct {
	name   string
	header string // fields without the braces
	// records are the file records. For write, they are put into one layer, unless they contain
	// layer records. Only the write stage reads those.
	records string
	want    string // part of each stage's message
	// takes lists stages that do not check for this fault. These stages pass the record on to a
	// stage that refuses it.
	takes string
}

const hostileRoot = `"root":"@/root"`

// filed returns a file record with a component.
func filed(path string, fields ...string) string {
	name, err := json.Marshal(path)
	if err != nil {
		panic(err)
	}
	return `{"file":` + strings.Join(append([]string{`{"path":` + string(name), `"components":["x"]`}, fields...), ",") + "}}\n"
}

func regular(path string) string   { return filed(path, `"type":"file"`) }
func directory(path string) string { return filed(path, `"type":"dir"`) }
func linked(path string, to string) string {
	return filed(path, `"type":"symlink"`, `"target":"`+to+`"`)
}

var hostileStreams = []hostileStream{
	// Invalid paths are faults of the record.
	{"dot dot", hostileRoot, directory("/etc") + regular("/etc/../../secret"), `record 4: path "/etc/../../secret" is not clean`, ""},
	{"dot dot alone", hostileRoot, regular("/.."), `path "/.." is not clean`, ""},
	{"dot dot in raw bytes", hostileRoot, filed("/../\uFFFD", `"type":"file"`, `"path_raw":"Ly4uL/8="`), `record 3: path`, ""},
	{"dot", hostileRoot, regular("/etc/./passwd"), `is not clean`, ""},
	{"relative", hostileRoot, regular("etc/passwd"), `record 3: path "etc/passwd"`, ""},
	{"empty name", hostileRoot, regular("//etc"), `record 3: path "//etc"`, ""},
	{"NUL", hostileRoot, regular("/etc\x00"), `record 3: path "/etc\x00"`, ""},
	{"whiteout name", hostileRoot, regular("/.wh.etc"), `record 3: path "/.wh.etc"`, ""},
	{"opaque whiteout", hostileRoot, directory("/etc") + regular("/etc/.wh..wh..opq"), `record 4: path`, ""},
	{"overlay whiteout", hostileRoot, filed("/etc", `"type":"char"`), `record 3:`, ""},
	{"path twice", hostileRoot, linked("/a", "x") + linked("/a", "x"), `record 4: path "/a" occurs twice`, ""},
	{"path twice, spelled otherwise", hostileRoot, linked("/a", "x") + strings.Replace(linked("/a", "x"), "/a", `\u002fa`, 1), `record 4: path "/a" occurs twice`, ""},
	{"descending", hostileRoot, linked("/b", "x") + linked("/a", "x"), `record 4: path "/a" comes after "/b"`, ""},
	{"directory of a hard-link group", hostileRoot, filed("/d", `"type":"dir"`, `"hardlink":1`), "record 3:", ""},
	{"device beyond devices", hostileRoot, filed("/d", `"type":"char"`, `"dev_major":2097152`), "record 3:", ""},
	{"xattr that a tar reads as two", hostileRoot, filed("/d", `"type":"file"`, `"xattrs":{"user.a=b":""}`), "record 3:", ""},
	{"names beyond names", hostileRoot, regular("/" + strings.Repeat("n", 256)), "record 3:", ""},
	{"deeper than deep", hostileRoot, regular(strings.Repeat("/d", 4097)), "record 3:", ""},
	{"an unknown field", hostileRoot, filed("/d", `"type":"file"`, `"exec":"/bin/sh"`), "record 3:", ""},
	{"relative root", `"root":"root"`, directory("/etc"), "record 1:", ""},
	{"root of many names", `"root":"` + strings.Repeat("/r", 4097) + `"`, directory("/etc"), "file name too long", "pack"},
	{"root beyond roots", `"root":"` + strings.Repeat("/r", 1<<19) + `/r"`, directory("/etc"), "record 1:", ""},
	{"root and sources", hostileRoot + `,"sources":["dir:@/root"]`, directory("/etc"), "record 1:", ""},
	{"layers kept of a root", hostileRoot + `,"keep_layers":2`, directory("/etc"), "record 1:", ""},

	// These records are inconsistent.
	{"below a symlink", hostileRoot, linked("/l", "/etc") + regular("/l/passwd"), `"/l`, "assign"},
	{"below itself", hostileRoot, linked("/l", "l") + linked("/l/l", "l"), `"/l`, "assign"},
	{"below a file", hostileRoot, regular("/f") + regular("/f/f"), `"/f`, "assign"},
	{
		"hard links that disagree", hostileRoot,
		filed("/a", `"type":"symlink"`, `"target":"b"`, `"hardlink":1`) + filed("/b", `"type":"symlink"`, `"target":"a"`, `"hardlink":1`),
		`"/a" and "/b" are hard links to one file`, "assign",
	},
	{"whiteout of nothing below", hostileRoot, filed("/etc", `"type":"whiteout"`), `"/etc"`, "assign pack"},
	{"layer in a layerless stream", hostileRoot + `,"stage":"assign"`, `{"layer":{"index":0}}` + "\n" + directory("/d"), "", ""},

	// These records do not match the root.
	{"file that is a link out", hostileRoot, regular("/out"), `"/out"`, "assign pack"},
	{"file below a link out", hostileRoot, directory("/out") + regular("/out/secret"), `"/out/secret"`, "assign pack"},
	{"file below a link up", hostileRoot, directory("/up") + directory("/up/outside") + regular("/up/outside/secret"), `"/up/outside/secret"`, "assign pack"},
	{"file below a loop", hostileRoot, directory("/loop") + regular("/loop/loop"), `"/loop/loop"`, "assign pack"},
	{"a pipe", hostileRoot, regular("/pipe"), `"/pipe"`, "assign pack"},
	{"a device", hostileRoot, regular("/device"), `"/device"`, "assign pack"},
	{"a socket", hostileRoot, regular("/socket"), `"/socket"`, "assign pack"},
	{"a directory", hostileRoot, regular("/dir"), `"/dir"`, "assign pack"},
	{"a file of another size", hostileRoot, filed("/etc", `"type":"file"`, `"size":1099511627776`), `"/etc"`, "assign"},
	{"a file larger than files", hostileRoot, filed("/etc", `"type":"file"`, `"size":9007199254740991`), `9007199254`, "assign"},
	{
		"files larger than numbers", hostileRoot, filed("/a", `"type":"file"`, `"size":9007199254740991`) +
			filed("/b", `"type":"file"`, `"size":9007199254740991`) + filed("/c", `"type":"file"`, `"size":9007199254740991`) +
			filed("/d", `"type":"file"`, `"size":9007199254740991`) + filed("/e", `"type":"file"`, `"size":9007199254740991`),
		`the files up to "/e" have more than 36028797018963968 bytes in total`, "assign",
	},
	{"a process", `"root":"/"`, directory("/proc") + directory("/proc/self") + directory("/proc/self/root") + directory("/proc/self/root/etc") + regular("/proc/self/root/etc/passwd"), `"/proc/self/root/etc/passwd"`, "assign pack"},
	{"a link to a process", `"root":"/proc"`, directory("/self") + regular("/self/environ"), `"/self/environ"`, "assign pack"},
	{"a magic link of a process", `"root":"/proc/self"`, directory("/root") + directory("/root/etc") + regular("/root/etc/passwd"), `"/root/etc/passwd"`, "assign pack"},
	{"an open file of this process", `"root":"/proc/self/fd"`, regular("/0"), `"/0"`, "assign pack"},
	{"a process' memory", `"root":"/proc/self"`, filed("/mem", `"type":"file"`, `"size":1048576`), `"/mem"`, "assign"},

	// These headers refer to hostile paths.
	{"a root that is a pipe", `"root":"@/pipe"`, regular("/f"), `opening root "@/pipe": not a directory`, "pack"},
	{"a root that is a file", `"root":"/proc/self/fd/0"`, regular("/f"), `opening root "/proc/self/fd/0": not a directory`, "pack"},
	{"a root that is a loop", `"root":"@/root/loop"`, regular("/f"), `opening root "@/root/loop": too many levels of symbolic links`, "pack"},
	{"no root", `"root":"@/none"`, regular("/f"), `opening root "@/none": no such file`, "pack"},
	{"an archive in a pipe", `"sources":["oci-archive:@/pipe"]`, regular("/f"), `"oci-archive:@/pipe"`, "pack"},
	{"an archive on standard input", `"sources":["oci-archive:/dev/stdin"]`, regular("/f"), `"oci-archive:/dev/stdin"`, "pack"},
	{"an archive without end", `"sources":["docker-archive:/dev/zero"]`, regular("/f"), `"docker-archive:/dev/zero"`, "pack"},
	{"a layout in a pipe", `"sources":["oci:@/pipe"]`, regular("/f"), `"oci:@/pipe"`, "pack"},
	{"a transport of others", `"sources":["ostree:x"]`, regular("/f"), `"ostree"`, "pack"},
	{"a thousand sources", `"sources":["dir:/"` + strings.Repeat(`,"dir:/"`, 999) + `]`, regular("/f"), "1000 sources", "pack"},
	{"layers of a directory", `"sources":["dir:@/root"],"keep_layers":1`, directory("/d"), "no layers", "pack"},
	{"all layers there are", `"sources":["dir:@/root"],"keep_layers":500`, directory("/d"), "", ""},
	{"a file below a link in a source", `"sources":["dir:@/root","dir:@/root"]`, directory("/out") + regular("/out/secret"), `"/out/secret"`, "assign pack"},
	{"a process among sources", `"sources":["dir:@/root","dir:/proc/self"]`, directory("/root") + directory("/root/etc") + regular("/root/etc/passwd"), `"/root/etc/passwd"`, "assign pack"},
}

// hostileLayers contains streams for the write stage, which is the only one that reads layer
// records.
var hostileLayers = []hostileStream{
	{"file in no layer", hostileRoot, directory("/d") + `{"layer":{}}`, `file "/d" is not in a layer`, ""},
	{"no layer at all", hostileRoot, "", "no layers", ""},
	{"layers out of order", hostileRoot, `{"layer":{"index":1}}` + directory("/d"), "record 2: layer 1 is out of order: expected layer 0", ""},
	{"a layer twice", hostileRoot, `{"layer":{"index":0}}` + directory("/d") + `{"layer":{"index":0}}` + directory("/e"), "record 4: layer 0", ""},
	{"a layer left out", hostileRoot, `{"layer":{"index":0}}` + directory("/d") + `{"layer":{"index":2}}` + directory("/e"), "record 4: layer 2", ""},
	{"layers backwards", hostileRoot, `{"layer":{"index":0}}` + directory("/d") + `{"layer":{"index":1}}` + directory("/e") + `{"layer":{"index":0}}`, "record 6: layer 0", ""},
	{"empty layer", hostileRoot, `{"layer":{}}`, "layer 0: has no files", ""},
	{"501 layers", hostileRoot, strings.Repeat(`{"layer":{}}`+directory("/d"), 501), "more than 500 layers", ""},
	{"a hundred thousand layers", hostileRoot, strings.Repeat(`{"layer":{}}`, 100_000), "more than 500 layers", ""},
	{"component behind a layer", hostileRoot, `{"layer":{}}` + directory("/d") + `{"component":{"name":"x"}}`, "record 4: component", ""},
	{"file in two layers", hostileRoot, `{"layer":{}}` + regular("/etc") + `{"layer":{}}` + regular("/etc"), `layer 1: "/etc" is in layer 0 too`, ""},
	{"link in two layers", hostileRoot, `{"layer":{}}` + linked("/a", "b") + `{"layer":{}}` + linked("/a", "c"), `layer 1: "/a" is in layer 0 too`, ""},
	{"directory and link", hostileRoot, `{"layer":{}}` + directory("/dir") + regular("/dir/f") + `{"layer":{}}` + linked("/dir", "/"), `layer 1: "/dir" is in layer 0 too`, ""},
	{"link and directory", hostileRoot, `{"layer":{}}` + linked("/a", "/") + `{"layer":{}}` + directory("/a") + directory("/a/etc"), `layer 1: "/a" is in layer 0 too`, ""},
	{"directory of two modes", hostileRoot, `{"layer":{}}` + directory("/d") + `{"layer":{}}` + filed("/d", `"type":"dir"`, `"mode":511`), `directory "/d" has a different mode`, ""},
	{"no parent", hostileRoot, `{"layer":{}}` + regular("/dir/f"), `"/dir/f": the layer lacks its parent directory`, ""},
	{"parent in another layer", hostileRoot, `{"layer":{}}` + directory("/dir") + `{"layer":{}}` + regular("/dir/f"), `"/dir/f": the layer lacks its parent directory`, ""},
	{"parent is a device", hostileRoot, `{"layer":{}}` + filed("/dir", `"type":"block"`, `"dev_major":8`) + regular("/dir/f"), `"/dir/f": the layer lacks its parent directory`, ""},
	{"parent is a whiteout", hostileRoot, `{"layer":{}}` + filed("/dir", `"type":"whiteout"`) + regular("/dir/f"), `"/dir/f": the layer lacks its parent directory`, ""},
	{"inode in two layers", hostileRoot, `{"layer":{}}` + filed("/a", `"type":"fifo"`, `"hardlink":1`) + `{"layer":{}}` + filed("/b", `"type":"fifo"`, `"hardlink":1`), `"/b" has a hard link in another layer (layer 0`, ""},
	{"a scan", hostileRoot + `,"stage":"scan"`, directory("/d"), "run chunkah-pack before chunkah-write", ""},
	{"files of components without a layer", hostileRoot + `,"stage":"assign"`, directory("/d"), "run chunkah-pack before chunkah-write", ""},
}

// hostilePlace makes a directory with a root whose links lead outside.
func hostilePlace(t *testing.T) string {
	t.Helper()
	place := mkroot.Make(t, `
dir /root/dir
file /root/dir/f text=f
file /root/etc text=x
file /root/f text=x
symlink /root/out to=../outside
symlink /root/up to=..
symlink /root/loop to=loop
fifo /root/pipe
socket /root/socket
fifo /pipe
file /outside/secret text=secret
`)
	if os.Geteuid() == 0 {
		if err := mkroot.Write(place, "char /root/device dev=1:5\n"); err != nil {
			t.Fatal(err)
		}
	}
	return place
}

// Each stage refuses hostile streams in both encodings, without a delay and with a message that
// names the fault. No image is made.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs a stage hundreds of times")
	}
	place := hostilePlace(t)
	for _, test := range hostileStreams {
		t.Run(test.name, func(t *testing.T) {
			for _, stage := range []string{"assign", "pack", "write"} {
				first := `{"component":{"name":"x"}}`
				if stage == "write" {
					first = `{"layer":{"index":0,"components":["x"]}}`
				}
				test.try(t, place, stage, first+test.records)
			}
		})
	}
	for _, test := range hostileLayers {
		t.Run(test.name, func(t *testing.T) { test.try(t, place, "write", test.records) })
	}
}

// try passes the stream to one stage.
func (h *hostileStream) try(t *testing.T, place, stage, body string) {
	t.Helper()
	text := `{"header":{"version":1,` + h.header + "}}\n" + body + `{"end":{}}`
	text = strings.ReplaceAll(text, "@", place)
	want := strings.ReplaceAll(h.want, "@", place)
	for encoding, in := range map[string][]byte{"json": []byte(text), "msgpack": inMsgpack(t, text)} {
		dir := t.TempDir()
		cmd := exec.Command("timeout", "--signal=KILL", fmt.Sprint(deadline.Seconds()), "chunkah-"+stage)
		if stage == "write" {
			cmd.Args = append(cmd.Args, "-o", "out")
		}
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(in))
		res := start(t, cmd)
		empty(t, dir)
		if strings.Contains(h.takes, stage) {
			if res.code != 0 {
				t.Errorf("%s, %s: status %d: %s", stage, encoding, res.code, res.stderr)
			}
			continue
		}
		if res.code != 1 || res.stdout != "" || !strings.HasPrefix(res.stderr, "chunkah-"+stage+": ") || !strings.Contains(res.stderr, want) {
			t.Errorf("%s, %s: status %d, %d bytes, %q; want %q", stage, encoding, res.code, len(res.stdout), res.stderr, want)
		}
	}
}

// inMsgpack converts a stream to msgpack, with its faults.
func inMsgpack(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := msgpack.NewEncoder(&out)
	enc.UseCompactInts(true)
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var rec any
		dec.UseNumber()
		err := dec.Decode(&rec)
		if err == io.EOF {
			return out.Bytes()
		}
		if err == nil {
			err = enc.Encode(bytesOf(t, "", rec))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// bytesOf converts numbers, and strings in fields that contain bytes, from JSON to msgpack.
func bytesOf(t *testing.T, field string, value any) any {
	t.Helper()
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			inner := key
			if field == "xattrs" {
				inner = "_raw"
			}
			v[key] = bytesOf(t, inner, v[key])
		}
	case []any:
		for i := range v {
			v[i] = bytesOf(t, "", v[i])
		}
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	case string:
		if strings.HasSuffix(field, "_raw") {
			raw, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
	}
	return value
}
