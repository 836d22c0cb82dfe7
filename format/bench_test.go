package format

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"testing"
)

// benchFiles is the number of file records in one benchmarked stream.
const benchFiles = 10_000

// benchRecords returns a stream of typical file records, each with a path of about 45 bytes, a time
// in nanoseconds and one component.
func benchRecords() []Record {
	recs := []Record{&Header{Version: 1, Stage: StageScan, Root: "/"}}
	for i := range benchFiles {
		recs = append(recs, &File{
			Path: fmt.Sprintf("/usr/lib/x86_64-linux-gnu/libexample.so.1.%05d", i), Type: TypeFile, Mode: 0o644,
			Size: 123456, MTime: 1700000000, MTimeNsec: 123456789, Components: []string{"dpkg/libexample"},
		})
	}
	return recs
}

// cpuTime returns the processor time of this process in nanoseconds. Unlike the wall clock, it does
// not depend on other processes.
func cpuTime(b *testing.B) int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// perFile runs f, which processes one stream, and reports the cost per record.
func perFile(b *testing.B, f func()) {
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		f()
	}
	used := float64(cpuTime(b)-start) / float64(b.N) / benchFiles
	b.ReportMetric(used, "cpu-ns/file")
}

func benchmarkEncode(b *testing.B, enc Encoding) {
	recs := benchRecords()
	perFile(b, func() {
		w := NewWriter(io.Discard, enc)
		for _, rec := range recs {
			if err := w.Write(rec); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	})
}

func benchmarkDecode(b *testing.B, enc Encoding) {
	data := write(b, enc, benchRecords())
	perFile(b, func() {
		for _, err := range All(NewReader(bytes.NewReader(data), "bench")) {
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkJSONEncode(b *testing.B)    { benchmarkEncode(b, JSON) }
func BenchmarkJSONDecode(b *testing.B)    { benchmarkDecode(b, JSON) }
func BenchmarkMsgpackEncode(b *testing.B) { benchmarkEncode(b, Msgpack) }
func BenchmarkMsgpackDecode(b *testing.B) { benchmarkDecode(b, Msgpack) }
