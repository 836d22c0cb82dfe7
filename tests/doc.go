// Package tests holds the tests that run the five commands as their users do:
// real processes, real root filesystems, real container clients. The laws of the
// project each have a test here, TestLaw1… to TestLaw8….
//
// Beside them are scripts of the commands' behaviour (script/) and the packages
// that make roots (mkroot, rpmroot) and images (mkimage), compare trees (treediff)
// and run clients (clients) and a browser (browser).
package tests
