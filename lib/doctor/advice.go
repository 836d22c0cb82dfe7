package doctor

import (
	"fmt"
	"math"
	"strings"
	"time"

	"chunkah/lib/quote"
)

// leaveOut returns the advice to prune the files that were found.
func leaveOut(_ *Examiner, g *collection) (string, []string) {
	options := g.prune()
	if options == nil {
		return "delete them when building the root", nil
	}
	return "exclude them: " + words(options), options
}

// prune returns --prune options for everything that was found, or nil if that would be too many. A
// trailing slash keeps the directory itself.
func (g *collection) prune() []string {
	if len(g.targets) > maxTargets {
		return nil
	}
	var options []string
	for _, t := range g.targets {
		options = append(options, "--prune", t)
	}
	return options
}

// location returns the directory in which to run a command, and the path to use in it.
func (e *Examiner) location(path string) (where, name string) {
	if e.opt.Dir == "" {
		return " when building the image", quote.Shell(path)
	}
	return "", quote.Shell(strings.TrimSuffix(e.opt.Dir, "/") + path)
}

// words joins shell-quoted words.
func words(list []string) string {
	var quoted []string
	for _, w := range list {
		quoted = append(quoted, quote.Shell(w))
	}
	return strings.Join(quoted, " ")
}

func adviseBoot(e *Examiner, g *collection) (string, []string) {
	advice, options := leaveOut(e, g)
	if e.seen.kernelInBoot && !e.seen.kernelInUsr {
		advice = "for a bootable image, move kernel and initramfs to /usr/lib/modules/VERSION/vmlinuz and initramfs.img; then " + advice
	}
	return advice, options
}

func adviseLogs(e *Examiner, g *collection) (string, []string) {
	if advice, options := leaveOut(e, g); options != nil {
		return advice, options
	}
	where, dir := e.location("/var/log")
	return fmt.Sprintf("delete them%s: find %s -type f -delete", where, dir), nil
}

// adviseRPM returns the advice to close the database instead of pruning its files. A write-ahead
// log can contain packages that the database lacks, and a read-only database in WAL mode cannot be
// opened without its -shm file.
func adviseRPM(e *Examiner, g *collection) (string, []string) {
	database := ""
	for _, t := range g.targets {
		if base, found := strings.CutSuffix(strings.TrimSuffix(strings.TrimSuffix(t, "-shm"), "-wal"), "/rpmdb.sqlite"); found {
			database = base + "/rpmdb.sqlite"
		}
	}
	if database == "" {
		return leaveOut(e, g)
	}
	why := "close the database"
	if e.seen.wal {
		why = "close the database, which merges its log"
	}
	where, name := e.location(database)
	return fmt.Sprintf("%s%s: sqlite3 %s 'PRAGMA journal_mode = DELETE'", why, where, name), nil
}

func adviseDpkg(e *Examiner, _ *collection) (string, []string) {
	if e.opt.Dir == "" {
		return "complete the interrupted dpkg run when building the image: dpkg --configure -a", nil
	}
	return fmt.Sprintf("complete the interrupted dpkg run: chroot %s dpkg --configure -a", quote.Shell(e.opt.Dir)), nil
}

func adviseMachineID(e *Examiner, g *collection) (string, []string) {
	var commands []string
	where := ""
	for _, t := range g.targets {
		var name string
		if where, name = e.location(t); t == "/etc/machine-id" {
			commands = append(commands, "truncate --size=0 "+name)
		} else {
			commands = append(commands, "ln -sf /etc/machine-id "+name)
		}
	}
	return fmt.Sprintf("clear it%s, so that each machine creates its own ID: %s", where, strings.Join(commands, " && ")), nil
}

func advisePyc(e *Examiner, g *collection) (string, []string) {
	where, dir := e.location(g.top())
	return fmt.Sprintf("set SOURCE_DATE_EPOCH when compiling, so that Python stores hashes; or delete the files%s: find %s -name '*.py[co]' -delete", where, dir), nil
}

// top returns the deepest directory that contains all places, without a trailing slash.
func (g *collection) top() string {
	list := g.list()
	first, last := list[0].Path, list[len(list)-1].Path
	same := 0 // length of the common prefix, up to a slash
	for i := 0; i < len(first) && i < len(last) && first[i] == last[i]; i++ {
		if first[i] == '/' {
			same = i
		}
	}
	if same == 0 {
		return "/"
	}
	return first[:same]
}

func adviseTimes(*Examiner, *collection) (string, []string) {
	return "build with --previous, which keeps the previous image's times of unchanged components; for a first build, set SOURCE_DATE_EPOCH to the time of the commit: git log -1 --format=%ct", nil
}

func adviseNewer(e *Examiner, g *collection) (string, []string) {
	where, dir := e.location(g.top())
	date := e.header.SourceDate
	earlier := ""
	if newest := e.newestPackage(); date < newest {
		earlier = fmt.Sprintf("set SOURCE_DATE_EPOCH no earlier than the newest package, which is from %s (%d); ",
			time.Unix(newest, 0).UTC().Format(time.DateOnly), newest)
	}
	return fmt.Sprintf("%sbuild with --previous, which keeps the previous image's times of unchanged components; or set a fixed time%s: "+
		"find %s ! -type d -newermt @%d -exec touch --no-dereference --date=@%d {} +", earlier, where, dir, date, date), nil
}

// newestPackage returns the time of the newest package, in Unix seconds, or the earliest possible
// time if there are no packages.
func (e *Examiner) newestPackage() int64 {
	newest := int64(math.MinInt64)
	for _, at := range e.bounded {
		newest = max(newest, at)
	}
	return newest
}

func adviseSpecial(_ *Examiner, g *collection) (string, []string) {
	for p := range g.places {
		if !strings.HasPrefix(p, "/dev/") {
			return "exclude them: --skip-special-files; or keep FIFOs and devices: --keep-special-files", []string{"--skip-special-files"}
		}
	}
	return "exclude them: --prune /dev/", []string{"--prune", "/dev/"}
}

func adviseUnreadable(_ *Examiner, g *collection) (string, []string) {
	advice := "run chunkah as root, or in \"podman unshare\" or \"buildah unshare\" if that created the root"
	if options := g.prune(); options != nil {
		return advice + "; or exclude them: " + words(options), options
	}
	return advice, nil
}

func adviseOverlay(*Examiner, *collection) (string, []string) {
	return "use the mounted file system; or exclude them: --skip-special-files", []string{"--skip-special-files"}
}

func adviseNames(_ *Examiner, g *collection) (string, []string) {
	if options := g.prune(); options != nil {
		return "rename them; or exclude them: " + words(options), options
	}
	return "rename them", nil
}

func adviseXattrs(e *Examiner, g *collection) (string, []string) {
	where, name := e.location(g.targets[0])
	return fmt.Sprintf("remove it%s, with a command such as: setfattr --remove=NAME %s", where, name), nil
}

func adviseOverlong(*Examiner, *collection) (string, []string) {
	return "shorten the deepest names, or leave out a directory with --prune", nil
}
