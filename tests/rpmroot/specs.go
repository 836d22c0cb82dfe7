package rpmroot

// sources lists the source packages in the order of installation. The %install section of each
// source package fills the build root.
var sources = []source{
	{Filesystem, "1", `
%install
mkdir -p %{buildroot}/{etc,opt,srv,tmp,usr/{bin,lib/systemd/system,lib64,sbin,share/shared},var/lib/private,var/log}
ln -s usr/bin %{buildroot}/bin
ln -s usr/lib %{buildroot}/lib
ln -s usr/lib64 %{buildroot}/lib64
ln -s usr/sbin %{buildroot}/sbin
printf 'root:x:0:0:root:/root:/bin/sh\n' >%{buildroot}/etc/passwd
printf 'root:x:0:\ncrew:x:12:\n' >%{buildroot}/etc/group
%files
/bin
/lib
/lib64
/sbin
%dir /etc
%config /etc/passwd
%config /etc/group
%dir /opt
%dir /srv
%attr(1777,root,root) %dir /tmp
%dir /usr
%dir /usr/bin
%dir /usr/lib
%dir /usr/lib/systemd
%dir /usr/lib/systemd/system
%dir /usr/lib64
%dir /usr/sbin
%dir /usr/share
%dir /usr/share/shared
%dir /var
%dir /var/lib
%attr(0700,root,root) %dir /var/lib/private
%dir /var/log
`},
	// This package contains a shell and rpm itself, so that containers made from the root can run
	// them.
	{Runtime, "4.18", `
%package libs
Summary: libraries
%description libs
Libraries.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/rpm
cp %{stage}/busybox %{stage}/rpm %{buildroot}/usr/bin/
for name in sh cat ls; do ln -s busybox %{buildroot}/usr/bin/$name; done
cp -r %{stage}/lib %{buildroot}/usr/lib
cp -r %{stage}/lib64 %{buildroot}/usr/lib64
printf '%%%%_dbpath /usr/lib/sysimage/rpm\n' >%{buildroot}/etc/rpm/macros
%files
/usr/bin/*
/etc/rpm
/usr/lib/rpm
%files libs -f %{stage}/files
`},
	{Tools, "2.0", `
%install
mkdir -p %{buildroot}/usr/{bin,share/tools,share/shared,share/doc/tools} %{buildroot}/lib/systemd/system %{buildroot}/var/log
echo setuid >%{buildroot}/usr/bin/switch-user
echo capable >%{buildroot}/usr/bin/send-packet
echo owned >%{buildroot}/usr/bin/shared-group
echo 'the same licence' >%{buildroot}/usr/share/tools/LICENSE
echo tools >%{buildroot}/usr/share/shared/tools.conf
echo 'a long way down' >%{buildroot}/usr/share/tools/README
echo documentation >%{buildroot}/usr/share/doc/tools/MANUAL
echo '[Unit]' >'%{buildroot}/lib/systemd/system/dev-disk-by\x2dlabel-data.mount'
deep=%{buildroot}/usr/share/tools
for i in 1 2 3; do deep=$deep/$(printf "%0240d" $i); done
mkdir -p $deep
echo deep >$deep/$(printf "%0246d" 4)
touch %{buildroot}/var/log/made.log %{buildroot}/var/log/never.log
%files
%attr(4755,root,root) /usr/bin/switch-user
%attr(2750,root,crew) /usr/bin/shared-group
%caps(cap_net_raw=ep) %attr(0755,root,root) /usr/bin/send-packet
/usr/share/tools
%dir /usr/share/shared
/usr/share/shared/tools.conf
%doc /usr/share/doc/tools/MANUAL
/lib/systemd/system/*
%ghost /var/log/made.log
%ghost /var/log/never.log
`},
	{Extra, "3", `
%install
mkdir -p %{buildroot}/usr/{bin,share/extra,share/shared,lib64}
echo 'the same licence' >%{buildroot}/usr/share/extra/LICENSE
echo extra >%{buildroot}/usr/share/shared/extra.conf
echo 'moved by hand after the installation' >%{buildroot}/usr/share/extra/moved.dat
echo 'latin1' >%{buildroot}/usr/share/extra/$(printf 'caf\351')
%files
/usr/share/extra
%dir /usr/share/shared
/usr/share/shared/extra.conf
`},
}

// preamble starts every spec. The changelog's times become the update history.
const preamble = `
Name: %[1]s
Version: %[2]s
Release: 1
Summary: %[1]s for tests
License: Public Domain
AutoReqProv: no
%%description
A package for tests.
`

const changelog = `
%%changelog
* %[1]s Nobody <nobody@registry.example> - 2
- Second.
* %[2]s Nobody <nobody@registry.example> - 1
- First.
`

// Some of these macros disable the distribution's post-processing, which would change the files.
const defines = `
%define _buildshell /bin/bash
%define __os_install_post %{nil}
%define debug_package %{nil}
%define _build_id_links none
%define _invalid_encoding_terminates_build 0
%define _binary_payload w0.gzdio
%define _buildhost registry.example
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0
`
