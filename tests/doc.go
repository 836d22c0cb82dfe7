// Package tests runs the five commands as a user would, with real processes, real root file systems
// and real container clients. Each of the project's laws has a test here, TestLaw1… to TestLaw8….
//
// Test scripts for the behaviour of the commands are in script/. Packages in subdirectories make
// roots (mkroot, rpmroot) and images (mkimage), compare trees (treediff), and run clients (clients)
// and a browser (browser).
package tests
