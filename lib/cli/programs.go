package cli

import "chunkah/lib/manual"

// program describes a command for its parser and its help.
type program struct {
	new                       func() command
	short, long, usage, group string

	alone    bool   // a stage, which is also a separate program
	compares bool   // the exit status is its result
	often    string // options on the help screen; if empty, the first options
	examples []manual.Example
	also     []string // related manual pages
}

// programs are the commands, by the name of their program. The subcommands of chunkah are listed
// without the prefix.
var programs = map[string]program{
	"chunkah-scan": {
		new:   func() command { return &scanCommand{} },
		short: "list the files of a directory or an image",
		long:  "Writes one record per file of SOURCE, a directory or an image, to standard output. Later sources are applied on top of earlier ones. Without SOURCE, reads the directory CHUNKAH_ROOTFS.",
		usage: "[OPTIONS] [SOURCE...]",
		group: "Scan options",
		alone: true,
		often: "prune cross-mounts skip-caches skip-special-files keep-special-files keep-xattr platform keep-base format",
		examples: []manual.Example{
			{Text: "List a directory, without the contents of /var/cache", Line: "chunkah-scan root --prune /var/cache/ > files"},
			{Text: "List an image in a registry", Line: "chunkah-scan docker://registry.example/app:1 > files"},
		},
		also: []string{"chunkah-assign(1)", streamPage},
	},
	"chunkah-assign": {
		new:   func() command { return &assignCommand{} },
		short: "tag files with their components",
		long:  "Reads a stream of files and adds the component of each file. Components come from package databases and other sources.",
		usage: "[OPTIONS] < STREAM > STREAM",
		group: "Assign options",
		alone: true,
		often: "repos map override rootfs explain summary format metrics",
		examples: []manual.Example{
			{Text: "Show what each repo finds", Line: "chunkah-scan root | chunkah-assign --summary"},
			{Text: "Show why a file has its component", Line: "chunkah-scan root | chunkah-assign --explain /usr/bin/bash"},
		},
		also: []string{"chunkah-scan(1)", "chunkah-pack(1)", streamPage},
	},
	"chunkah-pack": {
		new:   func() command { return &packCommand{} },
		short: "group components into layers",
		long:  "Reads a stream of tagged files and writes a stream of layers.",
		usage: "[OPTIONS] < STREAM > STREAM",
		group: "Pack options",
		alone: true,
		often: "max max-layer-size explain json previous plan format metrics",
		examples: []manual.Example{
			{Text: "Group a stream of files, and explain the layers", Line: "chunkah-pack --max 32 --explain < tagged > layers"},
			{Text: "Keep the layers of the previous image where that saves downloads", Line: "chunkah-pack --previous last.ociarchive < tagged > layers"},
		},
		also: []string{"chunkah-assign(1)", "chunkah-write(1)", streamPage},
	},
	"chunkah-write": {
		new:   func() command { return &writeCommand{} },
		short: "write layers as an OCI image",
		long:  "Reads a stream of layers and writes an OCI image: by default an archive to standard output.",
		usage: "[OPTIONS] < STREAM",
		group: "Write options",
		alone: true,
		often: "output tag config label arch compress level threads cache previous",
		examples: []manual.Example{
			{Text: "Write an archive", Line: "chunkah-write -t localhost/me:1 < layers > out.ociarchive"},
			{Text: "Push to a registry", Line: "chunkah-write --compress zstd -o docker://registry.example/app:1 < layers"},
		},
		also: []string{"chunkah-pack(1)", "chunkah-index(1)", "chunkah-verify(1)", streamPage},
	},
	"chunkah-build": {
		new:   func() command { return &buildCommand{} },
		short: "make an image from a directory or from images",
		long:  "Makes an OCI image from a directory (--rootfs), or from images and directories (--from). The four stages, joined by pipes, write the same bytes.",
		usage: "[OPTIONS]",
		group: "Build options",
		often: "rootfs from prune max previous config output tag compress cache dry-run",
		examples: []manual.Example{
			{Text: "Make an image of the running system", Line: "chunkah build --rootfs / --prune /var/lib/containers/ -o out.ociarchive"},
			{Text: "Split the layers of an image, and push the result", Line: "chunkah build --from oci:app -o docker://registry.example/app:1"},
		},
		also: []string{"chunkah-scan(1)", "chunkah-assign(1)", "chunkah-pack(1)", "chunkah-write(1)", "chunkah-inspect(1)", "chunkah-doctor(1)"},
	},
	"chunkah-index": {
		new:   func() command { return &indexCommand{} },
		short: "combine images for several platforms",
		long:  "Combines finished images into an index, and copies them unchanged. Each image must be for a different platform. Indexes are accepted too.",
		usage: "[OPTIONS] SOURCE...",
		group: "Index options",
		examples: []manual.Example{
			{Text: "Combine two images of a layout", Line: "chunkah index -o oci:app:both oci:app:amd64 oci:app:arm64"},
		},
		also: []string{"chunkah-build(1)"},
	},
	"chunkah-diff": {
		new:      func() command { return &diffCommand{} },
		short:    "compare two directories or images",
		long:     "Prints one line per difference between two directories or images. Both are read in the same way as by chunkah-scan.",
		usage:    "[OPTIONS] SOURCE SOURCE",
		group:    "Diff options",
		compares: true,
		often:    "ignore-mtime json prune skip-caches keep-xattr platform insecure",
		examples: []manual.Example{
			{Text: "Compare an image with the directory that it was made from", Line: "chunkah diff --ignore-mtime root oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-verify(1)"},
	},
	"chunkah-verify": {
		new:      func() command { return &verifyCommand{} },
		short:    "check an image for faults",
		long:     "Reads an image once, for all platforms of an index, and prints one line per fault.",
		usage:    "[OPTIONS] SOURCE",
		group:    "Verify options",
		compares: true,
		examples: []manual.Example{
			{Text: "Check an archive", Line: "chunkah verify oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-diff(1)"},
	},
	"chunkah-cat": {
		new:   func() command { return &catCommand{} },
		short: "print a file of an image",
		long:  "Prints the contents of a regular file of an image or directory. Symlinks are followed inside the image.",
		usage: "[OPTIONS] SOURCE PATH",
		group: "Cat options",
		examples: []manual.Example{
			{Text: "Print a file of an image in a registry", Line: "chunkah cat docker://registry.example/app:1 /etc/os-release"},
		},
		also: []string{"chunkah-inspect(1)", "chunkah-extract(1)"},
	},
	"chunkah-extract": {
		new:   func() command { return &extractCommand{} },
		short: "write the files of an image to a directory or a tar",
		long:  "Writes the file system of an image, with all layers applied, to the directory DIR or, with --tar, to a tar. DIR must be new or empty. Nothing is written outside DIR, and DIR appears when it is complete. Only root can restore owners and devices. For other users, chunkah writes everything else and lists what could not be restored.",
		usage: "[OPTIONS] SOURCE [DIR]",
		group: "Extract options",
		examples: []manual.Example{
			{Text: "Extract an image of a registry to a new directory", Line: "chunkah extract docker://registry.example/app:1 rootfs"},
			{Text: "List the files of an archive with tar", Line: "chunkah extract oci-archive:out.ociarchive --tar - | tar -tv"},
		},
		also: []string{"chunkah-cat(1)", "chunkah-build(1)"},
	},
	"chunkah-completion": {
		new:   func() command { return &completionCommand{} },
		short: "print completions for bash, zsh or fish",
		long:  "Prints completions for the command lines of chunkah and its stages. make install puts them where shells look for them.",
		usage: "bash|zsh|fish",
		group: "Completion options",
		examples: []manual.Example{
			{Text: "Load them into a running bash", Line: `eval "$(chunkah completion bash)"`},
		},
	},
	"chunkah-doctor": {
		new:      func() command { return &doctorCommand{} },
		short:    "find problems in an image before it is built",
		long:     "Reads a directory or an image in the same way as build. Finds problems that reduce layer reuse, break booting or leak secrets, and says how to fix each.",
		usage:    "[OPTIONS] SOURCE",
		group:    "Doctor options",
		compares: true,
		often:    "ignore json prune skip-caches skip-special-files platform repos source-date-epoch",
		examples: []manual.Example{
			{Text: "Examine a directory before it becomes an image", Line: "chunkah doctor root --prune /var/cache/"},
		},
		also: []string{"chunkah-build(1)"},
	},
	"chunkah-sbom": {
		new:   func() command { return &sbomCommand{} },
		short: "list the packages of a directory or image",
		long:  "Writes a bill of materials of a directory or image: the packages that the component repos find, with version, architecture, source package, licence, package URL, component and layer.",
		usage: "[OPTIONS] SOURCE...",
		group: "SBOM options",
		often: "format output prune repos platform source-date-epoch",
		examples: []manual.Example{
			{Text: "List the packages of an image, in SPDX", Line: "chunkah sbom oci-archive:out.ociarchive -o out.spdx.json"},
			{Text: "The same in CycloneDX", Line: "chunkah sbom --format cyclonedx oci-archive:out.ociarchive > out.cdx.json"},
		},
		also: []string{"chunkah-build(1)", "chunkah-inspect(1)"},
	},
	"chunkah-inspect": {
		new:   func() command { return &inspectCommand{} },
		short: "show the contents of an image's layers",
		long:  "Prints one line per layer of an image made by any tool: its size, its compressed size, the chance that it stays the same for a week, by itself and together with all layers below it, and its components.",
		usage: "[OPTIONS] IMAGE",
		group: "Inspect options",
		examples: []manual.Example{
			{Text: "List the layers of an archive", Line: "chunkah inspect oci-archive:out.ociarchive"},
			{Text: "List the files of its first layer", Line: "chunkah inspect --files 0 oci-archive:out.ociarchive"},
			{Text: "Write a page for a browser", Line: "chunkah inspect --html out.html oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-reuse(1)"},
	},
	"chunkah-reuse": {
		new:   func() command { return &reuseCommand{} },
		short: "show what clients download for an update",
		long:  "Prints how much docker, podman and containerd download and unpack to update from OLD to NEW, by component, and why they download unchanged files. In a series, each image is compared with the image before it.",
		usage: "[OPTIONS] OLD NEW...",
		group: "Reuse options",
		often: "client fail-above markdown json html download platform",
		examples: []manual.Example{
			{Text: "Compare two images of a layout", Line: "chunkah reuse oci:app:1 oci:app:2"},
			{Text: "Show what docker downloads, and why", Line: "chunkah reuse --client docker oci:app:1 oci:app:2"},
			{Text: "Write a page about a series of updates", Line: "chunkah reuse --html updates.html oci:app:1 oci:app:2 oci:app:3"},
		},
		also: []string{"chunkah-inspect(1)"},
	},
}

// subcommands lists the subcommands of chunkah in the order in which the help shows them.
var subcommands = []string{"build", "scan", "assign", "pack", "write", "index", "diff", "verify", "inspect", "reuse", "doctor", "sbom", "cat", "extract", "completion"}

// missingCommand represents chunkah without a subcommand.
type missingCommand struct{}

func (missingCommand) leftovers() []string { return nil }

// wrapper is the name of the command that contains all others as subcommands.
const (
	wrapper      = "chunkah"
	wrapperShort = "make OCI images whose layers follow the content"
	wrapperLong  = "Makes OCI images whose layers follow the content: each layer holds one package, or a group of packages that change together."
)

// streamPage is the manual page that describes the stream between the stages.
const streamPage = "chunkah-stream(5)"

var wrapperExamples = []manual.Example{
	{Text: "Make an image of the running system", Line: "chunkah build --rootfs / --prune /var/lib/containers/ -o out.ociarchive"},
	{Text: "The same in four stages, each of which your own program can replace", Line: "chunkah-scan / | chunkah-assign | chunkah-pack | chunkah-write > out.oci"},
}

// statuses are the exit statuses. Commands that compare use comparingStatuses.
var (
	statuses = []manual.Status{
		{Code: "0", Text: "Done."},
		{Code: "1", Text: "An error occurred; see standard error."},
		{Code: "2", Text: "The command line is wrong."},
		{Code: "129, 130, 143", Text: "SIGHUP, SIGINT or SIGTERM ended the command."},
		{Code: "141", Text: "The reader of standard output closed it."},
	}
	comparingStatuses = []manual.Status{
		{Code: "0", Text: "No differences, faults or findings."},
		{Code: "1", Text: "Differences, faults or findings, one per line on standard output."},
		{Code: "2", Text: "An error occurred (see standard error), or the command line is wrong."},
		{Code: "129, 130, 143", Text: "SIGHUP, SIGINT or SIGTERM ended the command."},
		{Code: "141", Text: "The reader of standard output closed it."},
	}
)
