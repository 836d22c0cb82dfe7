package cli

import "chunkah/lib/manual"

// stage is a command as its help shows it.
type stage struct {
	new                       func() command
	short, long, usage, group string

	alone    bool   // it has a program of its own
	compares bool   // its answer is its status
	often    string // the options that a screen has place for; the first ones where empty
	examples []manual.Example
	also     []string // related manual pages
}

// stages are the commands by the name of their binary; as subcommands of
// chunkah they go without its prefix.
var stages = map[string]stage{
	"chunkah-scan": {
		new:   func() command { return &scanCommand{} },
		short: "list the files of a directory or an image",
		long:  "Writes one record a file of a directory or an image (SOURCE, or CHUNKAH_ROOTFS) to standard output; of several, later ones lie over earlier ones.",
		usage: "[OPTIONS] [SOURCE...]",
		group: "Scan options",
		alone: true,
		often: "prune cross-mounts skip-caches skip-special-files keep-special-files keep-xattr platform keep-base format",
		examples: []manual.Example{
			{Text: "The files of a directory, but for what is in /var/cache", Line: "chunkah-scan root --prune /var/cache/ > files"},
			{Text: "Those of an image in a registry", Line: "chunkah-scan docker://registry.example/app:1 > files"},
		},
		also: []string{"chunkah-assign(1)", streamPage},
	},
	"chunkah-assign": {
		new:   func() command { return &assignCommand{} },
		short: "tag files with the components they belong to",
		long:  "Reads a stream of files and writes it with component names from package databases and other sources.",
		usage: "[OPTIONS] < STREAM > STREAM",
		group: "Assign options",
		alone: true,
		often: "repos map override rootfs explain summary format metrics",
		examples: []manual.Example{
			{Text: "What each repo finds", Line: "chunkah-scan root | chunkah-assign --summary"},
			{Text: "Why a file is where it is", Line: "chunkah-scan root | chunkah-assign --explain /usr/bin/bash"},
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
			{Text: "The layers of a stream of files", Line: "chunkah-pack --max 32 --explain < tagged > layers"},
			{Text: "The same, close to those of the last image", Line: "chunkah-pack --previous last.ociarchive < tagged > layers"},
		},
		also: []string{"chunkah-assign(1)", "chunkah-write(1)", streamPage},
	},
	"chunkah-write": {
		new:   func() command { return &writeCommand{} },
		short: "write layers as an OCI image",
		long:  "Reads a stream of layers and writes an OCI image: to standard output as an archive, or where -o says.",
		usage: "[OPTIONS] < STREAM",
		group: "Write options",
		alone: true,
		often: "output tag config label arch compress level threads cache previous",
		examples: []manual.Example{
			{Text: "An archive", Line: "chunkah-write -t localhost/me:1 < layers > out.ociarchive"},
			{Text: "An image in a registry", Line: "chunkah-write --compress zstd -o docker://registry.example/app:1 < layers"},
		},
		also: []string{"chunkah-pack(1)", "chunkah-index(1)", "chunkah-verify(1)", streamPage},
	},
	"chunkah-build": {
		new:   func() command { return &buildCommand{} },
		short: "make an image of a directory or of images",
		long:  "Makes an OCI image of the directory at --rootfs, or of the images and directories of --from: the same bytes as the four stages in a pipe.",
		usage: "[OPTIONS]",
		group: "Build options",
		often: "rootfs from prune max previous config output tag compress cache dry-run",
		examples: []manual.Example{
			{Text: "The system that you are on", Line: "chunkah build --rootfs / --prune /var/lib/containers/ -o out.ociarchive"},
			{Text: "An image of an image, to a registry", Line: "chunkah build --from oci:app -o docker://registry.example/app:1"},
		},
		also: []string{"chunkah-scan(1)", "chunkah-assign(1)", "chunkah-pack(1)", "chunkah-write(1)", "chunkah-inspect(1)", "chunkah-doctor(1)"},
	},
	"chunkah-index": {
		new:   func() command { return &indexCommand{} },
		short: "join images of several platforms",
		long:  "Writes an index of finished images, byte for byte as they are: each of a platform of its own, or an index of such.",
		usage: "[OPTIONS] SOURCE...",
		group: "Index options",
		examples: []manual.Example{
			{Text: "Two images of a layout as one of two platforms", Line: "chunkah index -o oci:app:both oci:app:amd64 oci:app:arm64"},
		},
		also: []string{"chunkah-build(1)"},
	},
	"chunkah-diff": {
		new:      func() command { return &diffCommand{} },
		short:    "compare two roots or images",
		long:     "Prints a line for each difference between two directories or images, which are read as scan reads them.",
		usage:    "[OPTIONS] SOURCE SOURCE",
		group:    "Diff options",
		compares: true,
		often:    "ignore-mtime json prune skip-caches keep-xattr platform insecure",
		examples: []manual.Example{
			{Text: "Whether an image is the root that it was made of", Line: "chunkah diff --ignore-mtime root oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-verify(1)"},
	},
	"chunkah-verify": {
		new:      func() command { return &verifyCommand{} },
		short:    "look for all that is wrong with an image",
		long:     "Reads an image once, all platforms of an index, and prints a line for each fault.",
		usage:    "[OPTIONS] SOURCE",
		group:    "Verify options",
		compares: true,
		examples: []manual.Example{
			{Text: "An archive", Line: "chunkah verify oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-diff(1)"},
	},
	"chunkah-completion": {
		new:   func() command { return &completionCommand{} },
		short: "print completions for bash, zsh or fish",
		long:  "Prints what completes the command lines of chunkah and its stages in a shell. make install puts them where shells look for them.",
		usage: "bash|zsh|fish",
		group: "Completion options",
		examples: []manual.Example{
			{Text: "In a running bash", Line: `eval "$(chunkah completion bash)"`},
		},
	},
	"chunkah-doctor": {
		new:      func() command { return &doctorCommand{} },
		short:    "look for what spoils an image before it is built",
		long:     "Looks in a directory or image, as build would take it, for what changes with every build, keeps a system from booting as it should, or is secret, and says what to do.",
		usage:    "[OPTIONS] SOURCE",
		group:    "Doctor options",
		compares: true,
		often:    "ignore json prune skip-caches skip-special-files platform repos source-date-epoch",
		examples: []manual.Example{
			{Text: "A root, before it becomes an image", Line: "chunkah doctor root --prune /var/cache/"},
		},
		also: []string{"chunkah-build(1)"},
	},
	"chunkah-inspect": {
		new:   func() command { return &inspectCommand{} },
		short: "show what is in the layers of an image",
		long:  "Prints a line for each layer of an image, whoever made it: size, compressed size, the chance that it stays as it is for a week, alone and with all layers below it, and what it holds.",
		usage: "[OPTIONS] IMAGE",
		group: "Inspect options",
		examples: []manual.Example{
			{Text: "The layers of an archive", Line: "chunkah inspect oci-archive:out.ociarchive"},
			{Text: "What is in its first layer", Line: "chunkah inspect --files 0 oci-archive:out.ociarchive"},
			{Text: "A picture of it, for a browser", Line: "chunkah inspect --html out.html oci-archive:out.ociarchive"},
		},
		also: []string{"chunkah-reuse(1)"},
	},
	"chunkah-reuse": {
		new:   func() command { return &reuseCommand{} },
		short: "tell what clients download for the next image",
		long:  "Prints what docker, podman and containerd download and unpack for NEW if they have the image OLD, by component: what changed, and why unchanged files are downloaded too. Of several images, each is taken after the one before it.",
		usage: "[OPTIONS] OLD NEW...",
		group: "Reuse options",
		often: "client fail-above markdown json html download platform",
		examples: []manual.Example{
			{Text: "What an update of a layout's image costs", Line: "chunkah reuse oci:app:1 oci:app:2"},
			{Text: "What of it docker downloads, and why", Line: "chunkah reuse --client docker oci:app:1 oci:app:2"},
			{Text: "A series of updates, as a picture", Line: "chunkah reuse --html updates.html oci:app:1 oci:app:2 oci:app:3"},
		},
		also: []string{"chunkah-inspect(1)"},
	},
}

// subcommands of chunkah, in the order of its help.
var subcommands = []string{"build", "scan", "assign", "pack", "write", "index", "diff", "verify", "inspect", "reuse", "doctor", "completion"}

// missingCommand is chunkah without a subcommand.
type missingCommand struct{}

// wrapper is the command whose subcommands are all the others.
const (
	wrapper      = "chunkah"
	wrapperShort = "make OCI images whose layers follow the content"
	wrapperLong  = "Makes OCI images whose layers follow the content: one package, or a group of packages that change together, to a layer."
)

// streamPage is the manual page of what goes from stage to stage.
const streamPage = "chunkah-stream(5)"

var wrapperExamples = []manual.Example{
	{Text: "An image of the system that you are on", Line: "chunkah build --rootfs / --prune /var/lib/containers/ -o out.ociarchive"},
	{Text: "The same in four steps, each of which another program can stand in for", Line: "chunkah-scan / | chunkah-assign | chunkah-pack | chunkah-write > out.oci"},
}

// statuses are the exit statuses, comparingStatuses those of commands whose answer
// they are.
var (
	statuses = []manual.Status{
		{Code: "0", Text: "Done."},
		{Code: "1", Text: "Something went wrong, as a line on standard error says."},
		{Code: "2", Text: "The command line is wrong."},
		{Code: "129, 130, 143", Text: "The command was ended by SIGHUP, SIGINT or SIGTERM."},
		{Code: "141", Text: "Nobody reads standard output any more."},
	}
	comparingStatuses = []manual.Status{
		{Code: "0", Text: "There is nothing to tell."},
		{Code: "1", Text: "There is something, a line each on standard output."},
		{Code: "2", Text: "It cannot be told, or the command line is wrong."},
		{Code: "129, 130, 143", Text: "The command was ended by SIGHUP, SIGINT or SIGTERM."},
		{Code: "141", Text: "Nobody reads standard output any more."},
	}
)
