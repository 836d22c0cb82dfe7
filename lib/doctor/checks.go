package doctor

import (
	"slices"

	"chunkah/format"
	"chunkah/lib/scan"
)

// ID names a kind of finding. It stays as it is.
type ID string

// The kinds of findings.
const (
	BootFiles       ID = "boot-files"
	RunFiles        ID = "run-files"
	TmpFiles        ID = "tmp-files"
	OSTreeSysroot   ID = "ostree-sysroot"
	PackageCache    ID = "package-cache"
	LogFiles        ID = "log-files"
	SystemCaches    ID = "system-caches"
	RPMLeftovers    ID = "rpmdb-leftovers"
	RPMHistory      ID = "rpm-history"
	DpkgLeftovers   ID = "dpkg-leftovers"
	DpkgUnfinished  ID = "dpkg-unfinished"
	BuilderFiles    ID = "builder-files"
	PycTimes        ID = "pyc-times"
	BuildTimes      ID = "build-times"
	NewerThanSource ID = "newer-than-source-date"
	MachineID       ID = "machine-id"
	SSHHostKeys     ID = "ssh-host-keys"
	MachineSecrets  ID = "machine-secrets"
	ShellHistory    ID = "shell-history"
	SpecialFiles    ID = "special-files"
	UnreadableFiles ID = "unreadable-files"
	OverlayWhiteout ID = "overlay-whiteouts"
	WhiteoutNames   ID = "whiteout-names"
	XattrNames      ID = "xattr-names"
	OverlongPaths   ID = "overlong-paths"
	FatJar          ID = "fat-jar"
	SparseFile      ID = "sparse-file"
	NonUTF8Names    ID = "non-utf8-names"
	OSTreeLabels    ID = "ostree-labels"
	LayerOrder      ID = "layer-order"
)

// IDs returns all kinds of findings, in the order in which they are told.
func IDs() []ID {
	var list []ID
	for i := range checks {
		list = append(list, checks[i].id)
	}
	return list
}

// check looks for one kind of finding.
type check struct {
	id   ID
	harm Harm
	what string
	// places are patterns of the paths that it looks at: see newRule. It looks
	// everywhere where there are none.
	places []string
	// finds reports whether a file in its places is a finding; nil for all.
	finds func(*Examiner, *format.File) (bool, error)
	// out is set where the advice is to leave the files out, so that nothing else has
	// to be said of them; each where that is file by file.
	out, each bool
	// bootable is set where only bootable images are the worse for it, sparse where a scan
	// finds it while it goes on.
	bootable, sparse bool
	// refused is set where it is a scan that finds it, as fault.
	refused bool
	fault   scan.FaultKind
	// image is set for a check of an image's config or layers instead of files: it
	// completes the finding, if it is one.
	image func(*Examiner, Finding) (_ Finding, found bool)
	// advise says what to do, and by which options it is done.
	advise func(*Examiner, *gathering) (string, []string)
}

func (c *check) hit(e *Examiner, f *format.File) (bool, error) {
	if c.finds == nil {
		return true, nil
	}
	return c.finds(e, f)
}

// checks are in the order in which they are told: in a run of the doctor those that
// look everywhere come after those that look in places.
var checks = []check{
	{
		id: BootFiles, harm: HarmBoot, places: []string{"/boot/"}, out: true,
		what:   "/boot is not empty: a bootable image has its kernel in /usr/lib/modules, and what is in /boot is not updated with it",
		advise: adviseBoot,
	},
	{
		id: RunFiles, harm: HarmReuse, places: []string{"/run/"}, out: true,
		what:   "files are left in /run, which is hidden as soon as a system runs",
		advise: leaveOut,
	},
	{
		id: TmpFiles, harm: HarmReuse, places: []string{"/tmp/", "/var/tmp/"}, out: true,
		what:   "files are left in a directory for temporary ones",
		advise: leaveOut,
	},
	{
		id: OSTreeSysroot, harm: HarmReuse, places: []string{"/sysroot/", "/ostree/"}, out: true,
		what:   "an ostree repository holds all files once more",
		advise: leaveOut,
	},
	{
		id: PackageCache, harm: HarmReuse, places: packageCaches, finds: notEmpty, out: true,
		what:   "package managers have left caches, which change with every build",
		advise: leaveOut,
	},
	{
		id: LogFiles, harm: HarmReuse, places: []string{"/var/log/"}, finds: notEmpty, out: true, each: true,
		what:   "logs of the build are left, with its times",
		advise: adviseLogs,
	},
	{
		id: SystemCaches, harm: HarmReuse, finds: notEmpty, out: true,
		places: []string{
			"/var/cache/ldconfig/", "/var/cache/fontconfig/", "/usr/lib/fontconfig/cache/", "/var/cache/man/", "/var/lib/mlocate/", "/var/lib/plocate/",
		},
		what:   "caches have inode numbers or times inside; the system makes them anew",
		advise: leaveOut,
	},
	{
		id: RPMLeftovers, harm: HarmReuse, places: rpmLeftovers, out: true,
		what:   "files are left that the rpm database has while it is open",
		advise: adviseRPM,
	},
	{
		id: RPMHistory, harm: HarmReuse, out: true,
		places: []string{
			"/var/lib/dnf/history.sqlite*", "/var/lib/yum/history/", "/usr/lib/sysimage/libdnf5/transaction_history.sqlite*",
		},
		what:   "the history of dnf has the times of the build inside",
		advise: leaveOut,
	},
	{
		id: DpkgLeftovers, harm: HarmReuse, out: true,
		places: []string{"/var/lib/dpkg/*-old", "/var/cache/debconf/*-old", "/var/backups/"},
		what:   "dpkg, debconf or their daily backup have left older states of their databases",
		advise: leaveOut,
	},
	{
		id: DpkgUnfinished, harm: HarmReuse,
		places: []string{"/var/lib/dpkg/updates/[0-9]*", "/var/lib/dpkg/info/*.dpkg-new", "/var/lib/dpkg/tmp.ci/"},
		what:   "dpkg was stopped in the middle of its work",
		advise: adviseDpkg,
	},
	{
		id: BuilderFiles, harm: HarmReuse, places: []string{"/etc/hostname", "/etc/resolv.conf"}, finds: ofBuilder, out: true,
		what:   "the name or the resolver is that of the machine which built the root",
		advise: leaveOut,
	},
	{
		id: MachineID, harm: HarmBoot, places: []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}, finds: identified,
		what:   "all machines of this image would have one machine ID, and no first boot",
		advise: adviseMachineID,
	},
	{
		id: SSHHostKeys, harm: HarmSecret, places: []string{"/etc/ssh/ssh_host_*", "/etc/dropbear/*_host_key"}, out: true,
		what:   "all machines of this image would have the same host keys, known to all who have the image",
		advise: leaveOut,
	},
	{
		id: MachineSecrets, harm: HarmSecret, finds: notEmpty, out: true,
		places: []string{
			"/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed", "/var/lib/random-seed",
			"/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/*.lease", "/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*",
			"/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/pacman.d/gnupg/",
		},
		what:   "seeds, keys, secrets or leases of one machine are left",
		advise: leaveOut,
	},
	{
		id: ShellHistory, harm: HarmSecret, finds: notEmpty, out: true,
		places: atHome(".bash_history", ".ash_history", ".zsh_history", ".python_history", ".node_repl_history", ".sqlite_history",
			".mysql_history", ".psql_history", ".lesshst", ".viminfo", ".wget-hsts"),
		what:   "what somebody typed is left",
		advise: leaveOut,
	},
	{
		id: PycTimes, harm: HarmReuse, finds: timedPyc,
		what:   "compiled Python has the time of its source inside, and no package bounds that",
		advise: advisePyc,
	},
	{
		id: BuildTimes, harm: HarmReuse, finds: builtNow,
		what:   "files have the time at which the root was built, and no package bounds it",
		advise: adviseTimes,
	},
	{
		id: NewerThanSource, harm: HarmReuse, finds: newerThanSource,
		what:   "no package bounds the times of these files, and they are newer than SOURCE_DATE_EPOCH: they get that as their time, and change with it",
		advise: adviseNewer,
	},
	{
		id: FatJar, harm: HarmReuse, finds: fatJar, each: true,
		what:   "an archive of Java has its libraries inside: all of them change with every change of the program",
		advise: adviseFatJar,
	},
	{
		id: NonUTF8Names, harm: HarmBoot, finds: notUTF8, each: true, bootable: true,
		what:   "names or link targets are not UTF-8, which ostree refuses",
		advise: adviseNames,
	},
	{
		id: SparseFile, harm: HarmReuse, sparse: true, each: true,
		what:   "files have holes of more than 1 GB, which are zeros in an image: they are read, hashed, compressed and unpacked",
		advise: adviseSparse,
	},
	{
		id: SpecialFiles, harm: HarmBuild, refused: true, fault: scan.FaultSpecial,
		what:   "sockets, FIFOs or devices, which an image rarely should have",
		advise: adviseSpecial,
	},
	{
		id: UnreadableFiles, harm: HarmBuild, refused: true, fault: scan.FaultUnreadable,
		what:   "this user may not read everything",
		advise: adviseUnreadable,
	},
	{
		id: OverlayWhiteout, harm: HarmBuild, refused: true, fault: scan.FaultOverlay,
		what:   "character devices 0/0 are deleted files of overlayfs: this is a layer of a file system, not the whole",
		advise: adviseOverlay,
	},
	{
		id: WhiteoutNames, harm: HarmBuild, refused: true, fault: scan.FaultWhiteout,
		what:   "names that begin with .wh. delete files in an image",
		advise: adviseNames,
	},
	{
		id: XattrNames, harm: HarmBuild, refused: true, fault: scan.FaultXattr,
		what:   "a tar cannot hold the name of an xattr that has = in it, or is not UTF-8",
		advise: adviseXattrs,
	},
	{
		id: OverlongPaths, harm: HarmBuild, refused: true, fault: scan.FaultDeep,
		what:   "no image holds a path that long",
		advise: adviseOverlong,
	},
	{
		id: OSTreeLabels, harm: HarmBoot, image: findOSTreeLabels,
		what: "labels name a layer or an ostree commit that the image does not have: bootc and rpm-ostree can neither install it nor switch to it",
	},
	{id: LayerOrder, harm: HarmReuse, image: findOrder},
}

// packageCaches are what package managers can fetch or make again.
var packageCaches = append([]string{
	"/var/lib/apt/lists/", "/var/cache/apt/archives/", "/var/cache/apt/*.bin",
	"/var/cache/dnf/", "/var/cache/libdnf5/", "/var/cache/yum/", "/var/cache/tdnf/", "/var/cache/PackageKit/", "/var/lib/dnf/repos/",
	"/var/cache/zypp/", "/var/cache/pacman/pkg/", "/var/lib/pacman/sync/", "/var/cache/apk/", "/etc/apk/cache/",
	"/usr/local/share/.cache/yarn/",
}, atHome(".cache/pip/", ".cache/uv/", ".cache/go-build/", ".cache/yarn/", ".cache/node-gyp/", ".cache/composer/", ".npm/_cacache/",
	".npm/_logs/", ".cargo/registry/", ".bundle/cache/")...)

// atHome returns patterns of paths in the home directories.
func atHome(names ...string) []string {
	var list []string
	for _, name := range names {
		list = append(list, "/root/"+name, "/home/*/"+name)
	}
	return list
}

// rpmLeftovers are what the forms of the rpm database have beside them.
var rpmLeftovers = slices.Concat(rpmFiles("__db.*"), rpmFiles("rpmdb.sqlite-wal"), rpmFiles("rpmdb.sqlite-shm"))

// rpmFiles returns patterns of a file in all places of the rpm database.
func rpmFiles(name string) []string {
	return []string{"/usr/lib/sysimage/rpm/" + name, "/usr/share/rpm/" + name, "/var/lib/rpm/" + name}
}

func notEmpty(_ *Examiner, f *format.File) (bool, error) {
	return f.Size > 0, nil
}
