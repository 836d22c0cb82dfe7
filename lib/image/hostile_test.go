package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"chunkah/format"
	"chunkah/lib/oci"
	mk "chunkah/tests/mkimage"
)

// Hostile layers are refused with an error that contains the entry's name.
func TestHostileLayers(t *testing.T) {
	with := func(change func(*tar.Header)) mk.Entry { return mk.File("f", "").But(change) }
	many := mk.File("f", "")
	for i := range 4097 {
		many = many.Xattr(fmt.Sprintf("user.%d", i), "x")
	}
	for name, test := range map[string]struct {
		entries []mk.Entry
		want    string
	}{
		"leads out":                    {[]mk.Entry{mk.File("../f", "")}, `entry "../f": leads out of the root with ".."`},
		"leads out by a detour":        {[]mk.Entry{mk.File("/a/../../f", "")}, `leads out of the root with ".."`},
		"link leads out":               {[]mk.Entry{mk.Link("f", "../../etc/shadow")}, `entry "f": is a hard link to "../../etc/shadow", which leads out of the root with ".."`},
		"link to nothing":              {[]mk.Entry{mk.Link("f", "/etc/shadow")}, `entry "f": is a hard link to "etc/shadow", which does not exist`},
		"link to a directory":          {[]mk.Entry{mk.Dir("d"), mk.Link("f", "d")}, "which is a directory"},
		"link to the root":             {[]mk.Entry{mk.Link("f", "/")}, "which does not exist"},
		"link to itself":               {[]mk.Entry{mk.File("f", ""), mk.Link("f", "f")}, "which does not exist"},
		"links in a circle":            {[]mk.Entry{mk.Link("a", "b"), mk.Link("b", "a")}, "which does not exist"},
		"link behind a file":           {[]mk.Entry{mk.File("f", ""), mk.Link("a", "f/x")}, "which does not exist"},
		"symlinks in a circle":         {[]mk.Entry{mk.Symlink("a", "b"), mk.Symlink("b", "a"), mk.File("a/f", "")}, "more than 40 symlinks"},
		"whiteout of nothing":          {[]mk.Entry{mk.File("d/.wh.", "")}, `entry "d/.wh.": is a whiteout without a valid name`},
		"whiteout of .":                {[]mk.Entry{mk.File(".wh..", "")}, "is a whiteout without a valid name"},
		"whiteout of ..":               {[]mk.Entry{mk.File(".wh...", "")}, "is a whiteout without a valid name"},
		"link to lost aufs file":       {[]mk.Entry{mk.Dir(".wh..wh.plnk"), mk.Link("f", ".wh..wh.plnk/1.2")}, `entry "f": is a hard link to ".wh..wh.plnk/1.2", which does not exist`},
		"link to aufs directory":       {[]mk.Entry{mk.Dir(".wh..wh.plnk"), mk.Link("f", ".wh..wh.plnk")}, "which does not exist"},
		"below a whiteout":             {[]mk.Entry{mk.File(".wh.d/x", "")}, "is below a whiteout"},
		"below a file":                 {[]mk.Entry{mk.File("f", ""), mk.File("f/x", "")}, `is below "f", which is not a directory in this layer`},
		"below a device":               {[]mk.Entry{mk.Device(tar.TypeBlock, "d", 8, 0), mk.File("d/x", "")}, `is below "d", which is not a directory in this layer`},
		"below a pipe":                 {[]mk.Entry{with(func(h *tar.Header) { h.Typeflag = tar.TypeFifo }), mk.File("f/x", "")}, `is below "f", which is not a directory`},
		"below a hard link":            {[]mk.Entry{mk.File("f", ""), mk.Link("l", "f"), mk.File("l/x", "")}, `is below "l", which is not a directory`},
		"below a link to a file":       {[]mk.Entry{mk.File("f", ""), mk.Symlink("s", "f"), mk.File("s/x", "")}, `is below`},
		"link to a whiteout":           {[]mk.Entry{mk.File(".wh.f", ""), mk.Link("l", ".wh.f")}, "hard link"},
		"root is a file":               {[]mk.Entry{mk.File(".", "")}, "is the root, but not a directory"},
		"long name":                    {[]mk.Entry{mk.File(strings.Repeat("n", 256), "")}, "256 bytes, above the limit of 255"},
		"deep":                         {[]mk.Entry{mk.Dir(strings.Repeat("d/", 4097))}, "more than 4096 names"},
		"long target":                  {[]mk.Entry{mk.Symlink("f", strings.Repeat("t", 4097))}, "symlink with a target of 4097 bytes"},
		"symlink with an empty target": {[]mk.Entry{mk.Symlink("f", "")}, "symlink with an empty target"},
		"no type":                      {[]mk.Entry{with(func(h *tar.Header) { h.Typeflag = 'Z' })}, `entry "f": has the type 'Z'`},
		"contiguous file":              {[]mk.Entry{with(func(h *tar.Header) { h.Typeflag = tar.TypeCont })}, `has the type '7'`},
		"uid of nobody":                {[]mk.Entry{with(func(h *tar.Header) { h.Uid = 1<<32 - 1 })}, "has the owner 4294967295:0"},
		"gid below 0":                  {[]mk.Entry{with(func(h *tar.Header) { h.Gid, h.Format = -1, tar.FormatGNU })}, "has the owner 0:-1"},
		"time beyond time":             {[]mk.Entry{with(func(h *tar.Header) { h.ModTime = time.Unix(1<<60, 0) })}, "has the invalid mtime"},
		"device":                       {[]mk.Entry{mk.Device(tar.TypeChar, "f", 1<<21-1, 1<<21-1).But(func(h *tar.Header) { h.Devmajor, h.Format = 1<<30, tar.FormatGNU })}, "is a device whose numbers"},
		"large xattr":                  {[]mk.Entry{mk.File("f", "").Xattr("user.x", strings.Repeat("x", 65537))}, `has an xattr "user.x" of 65537 bytes`},
		"long xattr":                   {[]mk.Entry{mk.File("f", "").Xattr(strings.Repeat("x", 256), "x")}, "with a name of 256 bytes"},
		"many xattrs of links": {[]mk.Entry{mk.File("a", "").Xattr("user.x", "x"), {Header: func() tar.Header {
			h := many.Header
			h.Name, h.Typeflag, h.Linkname, h.PAXRecords = "b", tar.TypeLink, "a", maps.Clone(h.PAXRecords)
			delete(h.PAXRecords, "SCHILY.xattr.user.0")
			return h
		}()}}, "more than 4096 xattrs, counted over all its hard links"},
		"many xattrs": {[]mk.Entry{many}, "more than 4096 xattrs"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := flattened(t, test.entries)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "reading layer 0 (sha256:") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Symlinks cannot lead deeper than the maximum depth of names.
func TestDepth(t *testing.T) {
	deep := strings.TrimSuffix(strings.Repeat("d/", 2000), "/")
	entries := []mk.Entry{mk.Dir(deep), mk.Symlink("s", deep)}
	for range 2 {
		entries = append(entries, mk.Dir("s/"+deep), mk.Symlink("s", deep+"/"+deep))
	}
	if _, err := flattened(t, entries); err == nil || !strings.Contains(err.Error(), "the limit of 4096") {
		t.Errorf("got %v", err)
	}
}

// damaged makes an image with two layers, changes its manifest, config or blobs, computes the
// digests of manifest and config again, and flattens the image.
func damaged(t *testing.T, change func(m *v1.Manifest, c *v1.Image, blobs mk.Blobs)) error {
	t.Helper()
	img := &mk.Image{Layers: []mk.Layer{
		{Tar: mk.Tar(t, mk.File("text", "hello")), Packing: mk.Gzip}, {Tar: mk.Tar(t, mk.File("more", "world"))},
	}}
	blobs := mk.Blobs{}
	d := img.Manifest(t, blobs)
	var m v1.Manifest
	var c v1.Image
	for blob, v := range map[digest.Digest]any{d.Digest: &m, digest.FromBytes(img.Config()): &c} {
		if err := json.Unmarshal(blobs[blob], v); err != nil {
			t.Fatal(err)
		}
	}
	change(&m, &c, blobs)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	config := blobs.Add(m.Config.MediaType, data)
	if m.Config.Digest == digest.FromBytes(img.Config()) {
		m.Config = config
	}
	if data, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	path := mk.LayoutFiles(blobs, blobs.Add(m.MediaType, data)).WriteFolder(t)
	_, err = flattenSource(t, Location{Transport: testLayout, Path: path}, FlattenOptions{})
	return err
}

func TestDamagedImages(t *testing.T) {
	type manifest = *v1.Manifest
	type config = *v1.Image
	// replace replaces the blob of a layer.
	replace := func(m manifest, blobs mk.Blobs, i int, data []byte) {
		m.Layers[i] = blobs.Add(m.Layers[i].MediaType, data)
	}
	for name, test := range map[string]struct {
		change func(m manifest, c config, blobs mk.Blobs)
		want   string
	}{
		"sound":             {func(manifest, config, mk.Blobs) {}, ""},
		"a blob is changed": {func(m manifest, _ config, b mk.Blobs) { b[m.Layers[0].Digest][20] ^= 1 }, "layer 0 (sha256:"},
		"a plain blob is changed": {func(m manifest, _ config, b mk.Blobs) {
			b[m.Layers[1].Digest][512] ^= 1
		}, "content has the wrong digest"},
		"a blob is short": {func(m manifest, _ config, b mk.Blobs) {
			b[m.Layers[0].Digest] = b[m.Layers[0].Digest][:50]
		}, "is 50 bytes, but its descriptor specifies"},
		"a blob is gone":     {func(m manifest, _ config, b mk.Blobs) { delete(b, m.Layers[1].Digest) }, "no such file"},
		"a size is wrong":    {func(m manifest, _ config, _ mk.Blobs) { m.Layers[0].Size++ }, "bytes, but its descriptor specifies"},
		"a size is negative": {func(m manifest, _ config, _ mk.Blobs) { m.Layers[0].Size = -1 }, "is negative"},
		"gzip is cut":        {func(m manifest, _ config, b mk.Blobs) { replace(m, b, 0, b[m.Layers[0].Digest][:60]) }, "unexpected EOF"},
		"gzip, and more": {func(m manifest, _ config, b mk.Blobs) {
			replace(m, b, 0, append(bytes.Clone(b[m.Layers[0].Digest]), "garbage of some length"...))
		}, "gzip: invalid header"},
		"the diffID is wrong": {func(_ manifest, c config, _ mk.Blobs) { c.RootFS.DiffIDs[0] = digest.FromString("x") }, "has the diffID"},
		"the diffID of a plain layer is wrong": {func(_ manifest, c config, _ mk.Blobs) {
			c.RootFS.DiffIDs[1] = digest.FromString("x")
		}, "has the diffID"},
		"a diffID is none": {func(_ manifest, c config, _ mk.Blobs) { c.RootFS.DiffIDs[0] = "sha256:../x" }, `diffID "sha256:../x"`},
		"a digest is none": {func(m manifest, _ config, _ mk.Blobs) { m.Layers[0].Digest = "sha256:../x" }, `digest "sha256:../x"`},
		"a diffID too few": {func(_ manifest, c config, _ mk.Blobs) { c.RootFS.DiffIDs = c.RootFS.DiffIDs[:1] }, "2 layers, but config has 1 diff_ids"},
		"the config is changed": {func(m manifest, c config, b mk.Blobs) {
			m.Config = b.Add(m.Config.MediaType, []byte("{}"))
			b[m.Config.Digest] = []byte("[]")
		}, "content has the wrong digest"},
		"the config is large": {func(m manifest, c config, b mk.Blobs) {
			m.Config = b.Add(m.Config.MediaType, append([]byte("{}"), make([]byte, oci.MaxDocument)...))
		}, "above the limit of 4194304"},
		"the config has many elements": {func(m manifest, c config, b mk.Blobs) {
			m.Config = b.Add(m.Config.MediaType, []byte(`{"history":[`+strings.Repeat("null,", maxCommas+1)+`null]}`))
		}, "above the limit of 262144"},
		"a size is huge":                 {func(m manifest, _ config, _ mk.Blobs) { m.Layers[0].Size = 1 << 60 }, "above the limit of 274877906944"},
		"another system":                 {func(_ manifest, c config, _ mk.Blobs) { c.OS = "windows" }, `operating system "windows"`},
		"an artifact":                    {func(m manifest, _ config, _ mk.Blobs) { m.Config.MediaType = "application/vnd.x+json" }, "an artifact, not an image"},
		"a config of old Docker clients": {func(m manifest, _ config, _ mk.Blobs) { m.Config.MediaType = "application/octet-stream" }, ""},
		"a config of JSON":               {func(m manifest, _ config, _ mk.Blobs) { m.Config.MediaType = "application/json" }, ""},
		"a config of some registries":    {func(m manifest, _ config, _ mk.Blobs) { m.Config.MediaType = "text/html" }, ""},
		"a config without a type":        {func(m manifest, _ config, _ mk.Blobs) { m.Config.MediaType = "" }, ""},
		"octets that are no config": {func(m manifest, _ config, b mk.Blobs) {
			m.Config = b.Add("application/octet-stream", []byte("{}"))
		}, "2 layers, but config has 0 diff_ids"},
		"a foreign layer": {func(m manifest, _ config, _ mk.Blobs) {
			m.Layers[1].MediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		}, "layer 1 (sha256:"},
		"a nondistributable layer": {func(m manifest, _ config, _ mk.Blobs) {
			m.Layers[1].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar"
		}, "does not allow its distribution"},
		"an unknown layer": {func(m manifest, _ config, _ mk.Blobs) {
			m.Layers[1].MediaType = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
		}, `unknown media type "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"`},
		"xz": {func(m manifest, _ config, b mk.Blobs) { replace(m, b, 0, []byte("\xfd7zXZ\x00...")) }, "decompressing: "},
	} {
		t.Run(name, func(t *testing.T) {
			err := damaged(t, test.change)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestTarEnds reads truncated and extended tars whose digests are correct.
func TestTarEnds(t *testing.T) {
	whole := mk.Tar(t, mk.File("a", "text"), mk.File("b", strings.Repeat("x", 600)))
	huge := mk.Tar(t, mk.File("a", "text"))
	// A size in base 256 and its checksum.
	copy(huge[124:136], "\x80\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00")
	setChecksum(huge[:512])
	for name, test := range map[string]struct {
		tar  []byte
		want string
	}{
		"nothing":              {nil, ""},
		"no end":               {whole[:512*5], ""}, // some tools write this
		"zeros behind the end": {append(bytes.Clone(whole), make([]byte, 10240)...), ""},
		"cut in a header":      {whole[:1024+100], `reading the tar after "a": unexpected EOF`},
		"cut in a file":        {whole[:1536+100], `entry "b"`},
		"garbage":              {append(bytes.Clone(whole), 'x'), ""},
		"a second tar":         {append(bytes.Clone(whole), whole...), ""},
		"no tar":               {[]byte(strings.Repeat("no tar ", 200)), `reading the tar after ""`},
		"a huge size":          {huge, "unexpected EOF"},
	} {
		for _, packing := range []string{mk.Plain, mk.Gzip} {
			img := &mk.Image{Layers: []mk.Layer{{Tar: test.tar, Packing: packing}}}
			_, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{})
			if test.want == "" && err != nil || test.want != "" && err == nil {
				t.Errorf("%s, %q: got %v, want %q", name, packing, err, test.want)
			}
			if err != nil && packing == mk.Gzip && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %q: got %v, want %q", name, packing, err, test.want)
			}
		}
	}
}

// The decompressed size of a layer is limited.
func TestBombs(t *testing.T) {
	img := &mk.Image{Layers: []mk.Layer{{Tar: mk.Tar(t, mk.File("zeros", strings.Repeat("\x00", 1<<20))), Packing: mk.Zstd}}}
	_, err := flattenSource(t, Location{Transport: testLayout, Path: img.Layout(t)}, FlattenOptions{MaxBytes: 1 << 19})
	if err == nil || !strings.Contains(err.Error(), "contain more than 524288 bytes") {
		t.Errorf("a bound on bytes: %v", err)
	}
	r := &layerReader{packed: true, bytes: freeBytes - 100, blob: &verified{}, budget: newBudget(1 << 20)}
	if _, err := io.Copy(io.Discard, &limited{in: strings.NewReader(strings.Repeat("x", 101)), of: r}); err == nil || !strings.Contains(err.Error(), "1100 times") {
		t.Errorf("a bound on the ratio: %v", err)
	}
	b := newBudget(1)
	b.metadata.Store(3 * entryCost)
	if err := errors.Join(b.entry(0), b.entry(100)); err != nil {
		t.Error(err)
	}
	if err := b.entry(entryCost); err == nil || !strings.Contains(err.Error(), "metadata") {
		t.Errorf("a bound on metadata: %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	src := Location{Transport: testLayout, Path: small(t, "", "x").Layout(t)}
	img, err := Open(context.Background(), src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, img)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	cancel(why)
	if _, err := Flatten(ctx, img, FlattenOptions{}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if _, err := Open(ctx, src, Options{}); !errors.Is(err, why) {
		t.Errorf("open: got %v", err)
	}
}

// If the disk is full or the directory is missing, the error mentions the cause.
func TestNoSpool(t *testing.T) {
	src := Location{Transport: testLayout, Path: small(t, "", "x").Layout(t)}
	_, err := flattenSource(t, src, FlattenOptions{Spool: "/nonexistent"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "creating a temporary file for layer data") {
		t.Errorf("got %v", err)
	}
}

// Reading from a stalled pipe can be cancelled, whether its other end is open or not.
func TestStalledPipe(t *testing.T) {
	for _, writer := range []bool{false, true} {
		pipe := t.TempDir() + "/pipe"
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		other := make(chan error, 1) // result of the other end
		if writer {
			f, err := os.OpenFile(pipe, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			go func() {
				_, err := f.Write(make([]byte, 1<<20)) // more than fits into the pipe, so the write returns once a reader is active
				other <- err
			}()
		} else {
			other <- nil
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("enough")
		done := make(chan error)
		go func() {
			_, err := Open(ctx, Location{Transport: testArchive, Path: pipe}, Options{Spool: t.TempDir()})
			done <- err
		}()
		if err := <-other; err != nil {
			t.Error(err)
		}
		cancel(why)
		if err := <-done; !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	}
}

// The metadata of an archive is checked against the limits before the files that it lists are read.
func TestHostileDockerArchives(t *testing.T) {
	img := small(t, "", "x")
	ids := make([]string, maxLayers+1)
	names := make([]string, len(ids))
	for i := range ids {
		ids[i], names[i] = digest.FromString("x").String(), "layer.tar"
	}
	config := encode(t, map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	for want, manifest := range map[string]any{
		"layers, above the limit of": []dockerImage{{Config: "many.json", Layers: names}},
		"images, above the limit of": make([]dockerImage, maxManifests+1),
	} {
		files := append(mk.DockerFiles(t, img),
			mk.NamedFile{Name: "many.json", Data: config}, mk.NamedFile{Name: "manifest.json", Data: encode(t, manifest)})
		src := Location{Transport: testDockerArchive, Path: files.WriteArchive(t), Ref: "@" + digest.FromBytes(config).String()}
		if _, err := Open(context.Background(), src, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The total size of names in an archive is limited, because the names are kept in memory, and a
// small file can decompress to many names.
func TestArchiveNamesBounded(t *testing.T) {
	a := &archive{items: make(map[string]item)}
	link := &tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: strings.Repeat("x", 1<<20)}
	var err error
	for i := 0; i < 1000 && err == nil; i++ {
		link.Name = fmt.Sprint(i)
		err = a.add(link)
	}
	if err == nil || !strings.Contains(err.Error(), "names") {
		t.Errorf("got %v", err)
	}
}

func TestArchiveRatio(t *testing.T) {
	in := &inflated{in: strings.NewReader("xx"), packed: &counter{}, unpacked: freeBytes - 1}
	if _, err := io.Copy(io.Discard, in); err == nil || !strings.Contains(err.Error(), "1100 times") {
		t.Errorf("got %v", err)
	}
	in = &inflated{in: strings.NewReader("xx"), packed: &counter{read: 1}, unpacked: freeBytes - 1}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Error(err)
	}
}

// Links can add xattrs to an inode, but not more than a file can have.
func TestLinksAddXattrs(t *testing.T) {
	entries := []mk.Entry{mk.File("f", "x")}
	for i := range format.MaxXattrs + 1 {
		entries = append(entries, mk.Link(fmt.Sprintf("l%d", i), "f").Xattr(fmt.Sprintf("user.x%d", i), "v"))
	}
	if _, err := flattened(t, entries[:format.MaxXattrs+1]); err != nil {
		t.Error(err)
	}
	if _, err := flattened(t, entries); err == nil || !strings.Contains(err.Error(), "more than 4096 xattrs") {
		t.Errorf("got %v", err)
	}
}
