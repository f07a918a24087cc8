package etcddb

import (
	"bytes"
	"context"
	"crypto/sha256"
)

// etcd appends the SHA-256 of a database to the snapshot that it sends. The size of a database is a
// multiple of a disk sector, so the remainder shows whether there is a SHA-256
// (etcd etcdutl/snapshot/v3_snapshot.go, hasChecksum).
const sectorSize = 512

// SplitDigest cuts the SHA-256 off a snapshot. digest is nil if there is none.
func SplitDigest(data []byte) (database, digest []byte) {
	if len(data) > sha256.Size && len(data)%sectorSize == sha256.Size {
		return data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	}
	return data, nil
}

// Digest is the result of comparing a snapshot with the SHA-256 at its end.
type Digest uint8

// The results of CheckDigest.
const (
	DigestAbsent Digest = iota // a member's own database has none
	DigestMatches
	DigestDiffers
)

// CheckDigest compares the SHA-256 of a database with a digest. It fails only if ctx ends.
func CheckDigest(ctx context.Context, database, digest []byte) (Digest, error) {
	if digest == nil {
		return DigestAbsent, nil
	}
	const piece = 1 << 20
	hash := sha256.New()
	for rest := database; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
		if err := ctx.Err(); err != nil {
			return DigestAbsent, err
		}
		_, _ = hash.Write(rest[:min(piece, len(rest))]) // a hash takes everything
	}
	if !bytes.Equal(hash.Sum(nil), digest) {
		return DigestDiffers, nil
	}
	return DigestMatches, nil
}
