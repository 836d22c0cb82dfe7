package cli

import (
	"context"
	"fmt"
	"os"

	"chunkah/lib/image"
	"chunkah/lib/temp"
)

// digestFlags output the finished image's digest for other programs.
type digestFlags struct {
	DigestFile  string `long:"digest-file" value-name:"FILE" unquote:"false" description:"write the manifest's digest to FILE once the image is complete"`
	PrintDigest bool   `long:"print-digest" description:"print the digest on standard output once the image is complete"`
}

// check refuses invalid combinations before the build starts.
func (f *digestFlags) check(target image.Location) error {
	if f.PrintDigest && target.IsStdout() {
		return usagef("--print-digest cannot be used, because the image is written to standard output: choose another output with -o, or use --digest-file")
	}
	return checkOutputFile("--digest-file", f.DigestFile)
}

// writeDigest writes the digest of the finished image.
func (f *digestFlags) writeDigest(ctx context.Context, env *Env, digest string) error {
	if f.DigestFile != "" {
		if err := temp.ReplaceContext(ctx, f.DigestFile, []byte(digest)); err != nil {
			return fmt.Errorf("the image %s is complete, but an error occurred afterwards: writing its digest: %w", digest, err)
		}
	}
	if !f.PrintDigest {
		return nil
	}
	_, err := fmt.Fprintln(env.writer(ctx), digest)
	return err
}

// digestFile returns the file of a previous run, which scan must exclude from the root.
func (f *digestFlags) digestFile() []os.FileInfo { return existingFile(f.DigestFile) }
