//go:build e2e

package durable

// exchanges is the number of races of TestExchangedFolders.
const exchanges = 200
