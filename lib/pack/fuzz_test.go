package pack

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"testing"

	"chunkah/format"
	"chunkah/tests/bound"
)

// FuzzRun checks that any valid stream is either refused without output, or packed into consistent
// layers. The layers are a valid stream, and are the same each time.
func FuzzRun(f *testing.F) {
	f.Add([]byte(`{"header":{"version":1}}{"file":{"path":"/a","type":"dir","components":["x"]}}{"file":{"path":"/a/b","type":"file","size":9,"hardlink":1,"components":["x","y"]}}`+
		`{"file":{"path":"/a-c","type":"file","size":9,"hardlink":1,"xattrs":{"user.component":"eA=="}}}{"component":{"name":"x","updates":[5],"interval_days":7,"fingerprint":"1"}}{"end":{}}`), uint8(2), int64(0))
	f.Add([]byte(`{"header":{"version":1,"stage":"assign","source_date":3,"sources":["oci:x"],"keep_layers":1}}{"file":{"path":"/d/w","type":"whiteout","components":["x"]}}`+
		`{"file":{"path":"/e","type":"symlink","target":"d","mtime":-5,"components":["z#12345678"]}}{"end":{}}`), uint8(0), int64(1024))
	f.Add([]byte(`{"header":{"version":1}}{"file":{"path":"/a","type":"symlink","target":"/"}}{"file":{"path":"/a/b","type":"file","components":["x"]}}{"end":{}}`), uint8(64), int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, most uint8, size int64) {
		bound.Input(t, len(data))
		records, err := readAll(data)
		if err != nil {
			t.Skip("refused: what lib/format's targets look at")
		}
		opt := Options{Max: int(most), MaxLayerSize: size, Explain: true}
		p, report, err := try(opt, records...)
		again, sameReport, sameErr := try(opt, records...)
		if fmt.Sprint(err) != fmt.Sprint(sameErr) || !reflect.DeepEqual(p, again) || !reflect.DeepEqual(report, sameReport) {
			t.Fatalf("got %v and %v,\n%+v\n%+v", err, sameErr, p, again)
		}
		if err != nil {
			if p.header != nil || p.finished {
				t.Errorf("something was written, and then: %v", err)
			}
			return
		}
		checkLayers(t, p)
		checkGroups(t, p)
		if len(p.layers) == 0 || opt.Max > 0 && len(p.layers) > opt.Max || report.Layers != len(p.layers) {
			t.Errorf("%d layers, %d reported, %d at most", len(p.layers), report.Layers, opt.Max)
		}
		checkStream(t, p)
	})
}

func readAll(data []byte) (records []format.Record, err error) {
	in := format.NewReader(bytes.NewReader(data), "stdin")
	for {
		rec, err := in.Next()
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
	}
}

// checkStream makes sure that the packed output is a valid stream.
func checkStream(t *testing.T, p *packed) {
	t.Helper()
	var out bytes.Buffer
	w := format.NewWriter(&out, format.Msgpack)
	records := []format.Record{p.header}
	for _, c := range p.components {
		records = append(records, c)
	}
	for _, l := range p.layers {
		records = append(records, l.Layer)
		for _, f := range l.files {
			records = append(records, f)
		}
	}
	for _, rec := range records {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(out.Bytes()); err != nil {
		t.Fatal(err)
	}
}
