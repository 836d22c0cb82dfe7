package doctor

import (
	"slices"

	"chunkah/format"
	"chunkah/lib/scan"
)

// ID identifies a kind of finding. IDs do not change between versions.
type ID string

const fatJarID ID = "fat-jar" // fatJar checks whether a finding is the first with this ID

// IDs returns all kinds of findings, in the order of reports.
func IDs() []ID {
	var list []ID
	for i := range checks {
		list = append(list, checks[i].id)
	}
	return list
}

// check finds one kind of problem.
type check struct {
	id   ID
	harm Harm
	what string
	// places are patterns for the paths to check (see newRule). If there are none, every file is
	// checked.
	places []string
	// finds reports whether a file is a finding. If it is nil, every file in places is a finding.
	finds func(*Examiner, *format.File) (bool, error)
	// out is set if the advice is to leave the files out. Other checks then ignore these files.
	// each is set if the advice lists every file.
	out, each bool
	// bootable is set if the finding matters only for bootable images. sparse is set if scan finds
	// it.
	bootable, sparse bool
	// inImage is the kind of harm if the source is an image and the kind differs from harm.
	inImage Harm
	// refused is set if scan reports the finding, as fault.
	refused bool
	fault   scan.FaultKind
	// whole checks the root as a whole, or an image's config or layers, and completes the finding.
	whole func(*Examiner, Finding) (_ Finding, found bool)
	// advise returns the advice and the options that implement it.
	advise func(*Examiner, *collection) (string, []string)
}

func (c *check) matches(e *Examiner, f *format.File) (bool, error) {
	if c.finds == nil {
		return true, nil
	}
	return c.finds(e, f)
}

// checks are listed in the order of reports. Checks with places run before checks of every file.
var checks = []check{
	{
		id: "sealed-image", harm: HarmBoot, finds: isSealed, each: true,
		places: []string{"/boot/EFI/Linux/*.efi", "/usr/lib/modules/*/*.efi", "/usr/lib/systemd/boot/*/*.efi"},
		what:   "a sealed kernel image (composefs= in its command line) boots only the image that it was made for: different file times change the digest",
		advise: adviseSealed,
	},
	{
		id: "bootc-kargs", harm: HarmBoot, places: []string{"/usr/lib/bootc/kargs.d/*.toml"}, finds: badKargs, each: true,
		what:   "bootc cannot parse a kernel-argument file, and refuses the image (lint bootc-kargs)",
		advise: adviseKargs,
	},
	{
		id: "boot-files", harm: HarmBoot, places: []string{"/boot/"}, out: true,
		what:   "/boot is not empty: bootable images keep the kernel in /usr/lib/modules, and updates do not change /boot",
		advise: adviseBoot,
	},
	{
		id: "run-files", harm: HarmReuse, places: []string{"/run/"}, out: true,
		what:   "files in /run, which a running system hides",
		advise: leaveOut,
	},
	{
		id: "tmp-files", harm: HarmReuse, places: []string{"/tmp/", "/var/tmp/"}, out: true,
		what:   "files in a directory for temporary files",
		advise: leaveOut,
	},
	{
		id: "ostree-sysroot", harm: HarmReuse, places: []string{"/sysroot/", "/ostree/"}, out: true,
		what:   "an ostree repository contains a second copy of all files",
		advise: leaveOut,
	},
	{
		id: "package-cache", harm: HarmReuse, places: packageCaches, finds: notEmpty, out: true,
		what:   "package-manager caches, which change with every build",
		advise: leaveOut,
	},
	{
		id: "log-files", harm: HarmReuse, places: []string{"/var/log/"}, finds: notEmpty, out: true, each: true,
		what:   "build logs, which contain the times of the build",
		advise: adviseLogs,
	},
	{
		id: "system-caches", harm: HarmReuse, finds: notEmpty, out: true,
		places: []string{
			"/var/cache/ldconfig/", "/var/cache/fontconfig/", "/usr/lib/fontconfig/cache/", "/var/cache/man/", "/var/lib/mlocate/", "/var/lib/plocate/",
		},
		what:   "caches that contain inode numbers or times; the system recreates them",
		advise: leaveOut,
	},
	{
		id: "rpmdb-leftovers", harm: HarmReuse, places: rpmLeftovers, out: true,
		what:   "working files of an rpm database that was not closed",
		advise: adviseRPM,
	},
	{
		id: "rpm-history", harm: HarmReuse, out: true,
		places: []string{
			"/var/lib/dnf/history.sqlite*", "/var/lib/yum/history/", "/usr/lib/sysimage/libdnf5/transaction_history.sqlite*",
		},
		what:   "dnf's history, which contains the times of the build",
		advise: leaveOut,
	},
	{
		id: "dpkg-leftovers", harm: HarmReuse, out: true,
		places: []string{"/var/lib/dpkg/*-old", "/var/cache/debconf/*-old", "/var/backups/"},
		what:   "old copies of dpkg and debconf databases",
		advise: leaveOut,
	},
	{
		id: "dpkg-unfinished", harm: HarmReuse,
		places: []string{"/var/lib/dpkg/updates/[0-9]*", "/var/lib/dpkg/info/*.dpkg-new", "/var/lib/dpkg/tmp.ci/"},
		what:   "dpkg was interrupted",
		advise: adviseDpkg,
	},
	{
		id: "builder-files", harm: HarmReuse, places: []string{"/etc/hostname", "/etc/resolv.conf"}, finds: fromBuildMachine, out: true,
		what:   "host name or DNS servers of the build machine",
		advise: leaveOut,
	},
	{
		id: "machine-id", harm: HarmBoot, places: []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}, finds: hasMachineID,
		what:   "all machines with this image would share one machine ID and skip their first boot",
		advise: adviseMachineID,
	},
	{
		id: "ssh-host-keys", harm: HarmSecret, places: []string{"/etc/ssh/ssh_host_*", "/etc/dropbear/*_host_key"}, out: true,
		what:   "all machines with this image would share its host keys, and everyone with the image knows them",
		advise: leaveOut,
	},
	{
		id: "machine-secrets", harm: HarmSecret, finds: notEmpty, out: true,
		places: []string{
			"/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/lib/urandom/random-seed", "/var/lib/random-seed",
			"/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/*.lease", "/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*",
			"/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/pacman.d/gnupg/",
		},
		what:   "random seeds, keys, secrets or DHCP leases of one machine",
		advise: leaveOut,
	},
	{
		id: "shell-history", harm: HarmSecret, finds: notEmpty, out: true,
		places: inHomes(".bash_history", ".ash_history", ".zsh_history", ".python_history", ".node_repl_history", ".sqlite_history",
			".mysql_history", ".psql_history", ".lesshst", ".viminfo", ".wget-hsts"),
		what:   "a user's command history",
		advise: leaveOut,
	},
	{
		id: "pyc-times", harm: HarmReuse, finds: hasPycTime,
		what:   "compiled Python files contain the time of their source, which is not clamped to the build time of a package",
		advise: advisePyc,
	},
	{
		id: "build-times", harm: HarmReuse, finds: hasBuildTime,
		what:   "the times of these files are the time of the build, and are not clamped to the build time of a package",
		advise: adviseTimes,
	},
	{
		id: "newer-than-source-date", harm: HarmReuse, finds: newerThanSource,
		what:   "the times of these files are not clamped to the build time of a package, and are newer than SOURCE_DATE_EPOCH: the files get that time, and change whenever it changes",
		advise: adviseNewer,
	},
	{
		id: fatJarID, harm: HarmReuse, finds: fatJar, each: true,
		what:   "a Java archive contains its libraries: clients download them again with every change of the program",
		advise: adviseFatJar,
	},
	{
		id: "non-utf8-names", harm: HarmBoot, finds: notUTF8, each: true, bootable: true,
		what:   "names or link targets that are not UTF-8, which ostree refuses",
		advise: adviseNames,
	},
	{
		id: "sparse-file", harm: HarmReuse, sparse: true, each: true,
		what:   "files with holes of more than 1 GB: an image stores holes as zeros, which are read, hashed, compressed and unpacked",
		advise: adviseSparse,
	},
	{
		id: "special-files", harm: HarmBuild, inImage: HarmClient, refused: true, fault: scan.FaultSpecial,
		what:   "sockets, FIFOs or devices, which rarely belong in an image",
		advise: adviseSpecial,
	},
	{
		id: "unreadable-files", harm: HarmBuild, refused: true, fault: scan.FaultUnreadable,
		what:   "files that this user cannot read",
		advise: adviseUnreadable,
	},
	{
		id: "overlay-whiteouts", harm: HarmBuild, refused: true, fault: scan.FaultOverlay,
		what:   "character devices 0/0, which mark deleted files in overlayfs: this directory is one overlayfs layer, not the mounted file system",
		advise: adviseOverlay,
	},
	{
		id: "whiteout-names", harm: HarmBuild, refused: true, fault: scan.FaultWhiteout,
		what:   "names that begin with .wh., which delete files in an image",
		advise: adviseNames,
	},
	{
		id: "xattr-names", harm: HarmBuild, refused: true, fault: scan.FaultXattr,
		what:   "xattr names that contain = or are not UTF-8, which a tar cannot store",
		advise: adviseXattrs,
	},
	{
		id: "overlong-paths", harm: HarmBuild, refused: true, fault: scan.FaultDeep,
		what:   "paths that are too long for an image",
		advise: adviseOverlong,
	},
	{
		id: "ostree-labels", harm: HarmBoot, whole: findOSTreeLabels,
		what: "labels refer to a layer or an ostree commit that the image does not contain: bootc and rpm-ostree can neither install the image nor switch to it",
	},
	{
		id: "var-run", harm: HarmBoot, whole: findVarRun,
		what: "/var/run is not a symlink, so services and their clients look in two places: bootc refuses the image (lint var-run)",
	},
	{
		id: "etc-usretc", harm: HarmBoot, whole: findUsrEtc,
		what: "both /etc and /usr/etc exist: bootc makes /usr/etc itself and refuses the image (lint etc-usretc)",
	},
	{
		id: "kernel-count", harm: HarmBoot, whole: findKernels,
		what: "several kernels in /usr/lib/modules: bootc and ostree boot only images with one kernel (lint kernel)",
	},
	{
		id: "api-directories", harm: HarmBoot, whole: findAPIDirs,
		what: "mount points for file systems that are mounted at boot are missing: bootc refuses the image (lint api-base-directories)",
	},
	{
		id: "ostree-link", harm: HarmBoot, whole: findOSTreeLink,
		what: "/sysroot is not a directory, or /ostree is not a symlink to sysroot/ostree: bootc refuses the image (lint baseimage-root)",
	},
	{
		id: "removed-files", harm: HarmSecret, whole: findRemoved,
		what: "files that look secret were removed, but everyone with the image can read them in a lower layer",
	},
	{id: "layer-order", harm: HarmReuse, whole: findOrder},
}

// packageCaches are files that package managers can download or create again.
var packageCaches = append([]string{
	"/var/lib/apt/lists/", "/var/cache/apt/archives/", "/var/cache/apt/*.bin",
	"/var/cache/dnf/", "/var/cache/libdnf5/", "/var/cache/yum/", "/var/cache/tdnf/", "/var/cache/PackageKit/", "/var/lib/dnf/repos/",
	"/var/cache/zypp/", "/var/cache/pacman/pkg/", "/var/lib/pacman/sync/", "/var/cache/apk/", "/etc/apk/cache/",
	"/usr/local/share/.cache/yarn/",
}, inHomes(".cache/pip/", ".cache/uv/", ".cache/go-build/", ".cache/yarn/", ".cache/node-gyp/", ".cache/composer/", ".npm/_cacache/",
	".npm/_logs/", ".cargo/registry/", ".bundle/cache/")...)

// inHomes returns patterns for these paths in every home directory.
func inHomes(names ...string) []string {
	var list []string
	for _, name := range names {
		list = append(list, "/root/"+name, "/home/*/"+name)
	}
	return list
}

// rpmLeftovers are the working files of an open rpm database.
var rpmLeftovers = slices.Concat(rpmFiles("__db.*"), rpmFiles("rpmdb.sqlite-wal"), rpmFiles("rpmdb.sqlite-shm"))

// rpmFiles returns patterns for a file in every location of the rpm database.
func rpmFiles(name string) []string {
	return []string{"/usr/lib/sysimage/rpm/" + name, "/usr/share/rpm/" + name, "/var/lib/rpm/" + name}
}

func notEmpty(_ *Examiner, f *format.File) (bool, error) {
	return f.Size > 0, nil
}
