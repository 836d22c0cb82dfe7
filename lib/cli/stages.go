package cli

// stage is a command as its help shows it.
type stage struct {
	new                       func() command
	short, long, usage, group string
}

// stages are the commands by the name of their binary; as subcommands of
// chunkah they go without its prefix. the others have no binary.
var stages = map[string]stage{
	"chunkah-scan": {
		new:   func() command { return &scanCommand{} },
		short: "list the files of a directory or image as a stream",
		long:  "Writes one record a file of a directory or an image (SOURCE, or CHUNKAH_ROOTFS) to standard output; of several, later ones lie over earlier ones.",
		usage: "[OPTIONS]",
		group: "Scan options",
	},
	"chunkah-assign": {
		new:   func() command { return &assignCommand{} },
		short: "tag files with the components they belong to",
		long:  "Reads a stream of files and writes it with component names from package databases and other sources.",
		usage: "[OPTIONS] < STREAM > STREAM",
		group: "Assign options",
	},
	"chunkah-pack": {
		new:   func() command { return &packCommand{} },
		short: "group components into layers",
		long:  "Reads a stream of tagged files and writes a stream of layers.",
		usage: "[OPTIONS] < STREAM > STREAM",
		group: "Pack options",
	},
	"chunkah-write": {
		new:   func() command { return &writeCommand{} },
		short: "write layers as an OCI image",
		long:  "Reads a stream of layers and writes an OCI image: to standard output as an archive, or where -o says.",
		usage: "[OPTIONS] < STREAM",
		group: "Write options",
	},
	"chunkah-build": {
		new:   func() command { return &buildCommand{} },
		short: "do all four in one process",
		long:  "Makes an OCI image of the directory at --rootfs (or CHUNKAH_ROOTFS), or of the images and directories of --from: the same bytes as the four stages in a pipe.",
		usage: "[OPTIONS]",
		group: "Build options",
	},
	"chunkah-index": {
		new:   func() command { return &indexCommand{} },
		short: "join images of several platforms",
		long:  "Writes an index of finished images, byte for byte as they are: each of a platform of its own, or an index of such.",
		usage: "[OPTIONS] SOURCE...",
		group: "Index options",
	},
	"chunkah-diff": {
		new:   func() command { return &diffCommand{} },
		short: "compare two roots or images",
		long:  "Prints a line for each difference between two directories or images, which are read as scan reads them. Status 0: there is none; 1: there are some; 2: it cannot be told.",
		usage: "[OPTIONS] SOURCE SOURCE",
		group: "Diff options",
	},
	"chunkah-verify": {
		new:   func() command { return &verifyCommand{} },
		short: "look for all that is wrong with an image",
		long:  "Reads an image once, all platforms of an index, and prints a line for each fault. Status 0: there is none; 1: there are some; 2: it cannot be read.",
		usage: "[OPTIONS] SOURCE",
		group: "Verify options",
	},
	"chunkah-inspect": {
		new:   func() command { return &inspectCommand{} },
		short: "show what is in the layers of an image",
		long:  "Prints a line for each layer of an image, whoever made it: size, compressed size, the chance that it stays as it is for a week, and what it holds.",
		usage: "[OPTIONS] IMAGE",
		group: "Inspect options",
	},
	"chunkah-reuse": {
		new:   func() command { return &reuseCommand{} },
		short: "tell what a client downloads for the next image",
		long:  "Prints what a client that has the image OLD downloads for NEW, by component: what changed, and what comes along and why. Of several images, each is taken after the one before it.",
		usage: "[OPTIONS] OLD NEW...",
		group: "Reuse options",
	},
}

// subcommands of chunkah, in the order of its help.
var subcommands = []string{"build", "scan", "assign", "pack", "write", "index", "diff", "verify", "inspect", "reuse"}

// missingCommand is chunkah without a subcommand.
type missingCommand struct{}
