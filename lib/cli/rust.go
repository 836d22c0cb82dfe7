package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"chunkah/lib/metrics"
	"chunkah/lib/pack"
	"chunkah/lib/quote"
	"chunkah/lib/temp"
)

// rustFlags are options of the Rust chunkah. They are hidden, and exist only for scripts that use
// them.
type rustFlags struct {
	WriteManifestTo string `long:"write-manifest-to" value-name:"FILE" unquote:"false" description:"write the files, size and stability of each component to FILE, as JSON" brief:"write the files of each component to FILE, as JSON" section:"Run"`
	WritePeakMemTo  string `long:"write-peak-mem-to" value-name:"FILE" unquote:"false" description:"write the peak memory of the run to FILE, in bytes" brief:"write the peak memory of the run to FILE, in bytes"`
	TraceLogfile    string `long:"trace-logfile" value-name:"FILE" unquote:"false" description:"has no effect; use -vv, which writes to standard error"`
}

// check warns about options and variables of the Rust chunkah that have no effect.
func (f *rustFlags) check(env *Env) {
	if f.TraceLogfile != "" {
		env.warn("--trace-logfile has no effect: -vv 2>%s writes the same", quote.Shell(f.TraceLogfile))
	}
	if os.Getenv("RUST_LOG") != "" {
		env.warn("RUST_LOG has no effect: use -v and -vv for more output, -q for less")
	}
}

// manifestComponent is one component in the output of --write-manifest-to.
type manifestComponent struct {
	FileCount int      `json:"file_count"`
	Size      int64    `json:"size"`
	Stability float64  `json:"stability"`
	Files     []string `json:"files"`
}

// write writes the requested files.
func (f *rustFlags) write(ctx context.Context, contents []pack.Content) error {
	if f.WriteManifestTo != "" {
		components := make(map[string]manifestComponent, len(contents))
		for _, c := range contents {
			components[c.Name] = manifestComponent{len(c.Files), c.Size, float64(c.Stability) / 1e6, c.Files}
		}
		data, err := json.MarshalIndent(map[string]any{"components": components}, "", "  ")
		if err == nil {
			err = temp.ReplaceContext(ctx, f.WriteManifestTo, append(quote.JSON(data), '\n'))
		}
		if err != nil {
			return fmt.Errorf("writing the manifest of components: %w", err)
		}
	}
	if f.WritePeakMemTo != "" {
		if err := temp.ReplaceContext(ctx, f.WritePeakMemTo, fmt.Appendln(nil, metrics.PeakMemory())); err != nil {
			return fmt.Errorf("writing the peak memory: %w", err)
		}
	}
	return nil
}
