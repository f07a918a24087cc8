package goodkey

import (
	"crypto/ed25519"
	"errors"
	"math/big"
	"slices"
)

// checkEd25519 checks what crypto/ed25519 does not. With a key of small order, one signature is valid
// for many messages, without any private key.
func checkEd25519(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return errors.New("its Ed25519 key has a wrong length")
	}
	bytes := slices.Clone(key)
	slices.Reverse(bytes) // now the highest first
	bytes[0] &= 0x7f      // without the sign of x
	y := new(big.Int).SetBytes(bytes)
	p := fieldPrime()
	one := big.NewInt(1)
	square := new(big.Int).Mul(y, y)
	square.Mod(square, p)
	numerator := new(big.Int).Sub(square, one)
	scaled := new(big.Int).Mul(edwardsD(p), square)
	scaled.Mod(scaled, p)
	denominator := new(big.Int).Add(scaled, one)
	switch {
	case y.Cmp(p) >= 0:
		return errors.New("its Ed25519 key is not in the one encoding that such a key has (RFC 8032, 5.1.3)")
	case hasSmallOrder(y, square, scaled, p):
		return errors.New("its Ed25519 key is a point of small order: everybody can sign with it")
	case big.Jacobi(numerator.Mul(numerator, denominator), p) < 0: // x² = (y²-1)/(dy²+1) has no root
		return errors.New("its Ed25519 key is not a point of its curve")
	}
	return nil
}

// hasSmallOrder reports whether a point with this y has an order of 1, 2, 4 or 8. A point of order 8
// has twice itself at y = 0, where x² = -y²; on the curve -x² + y² = 1 + dx²y², this is
// dy⁴ + 2y² = 1.
func hasSmallOrder(y, square, scaled, p *big.Int) bool {
	one := big.NewInt(1)
	eighth := new(big.Int).Mul(scaled, square)
	eighth.Add(eighth, square).Add(eighth, square).Sub(eighth, one).Mod(eighth, p)
	return y.Sign() == 0 || y.Cmp(one) == 0 || y.Cmp(new(big.Int).Sub(p, one)) == 0 || eighth.Sign() == 0
}

// fieldPrime returns 2^255 - 19.
func fieldPrime() *big.Int {
	p := new(big.Int).Lsh(big.NewInt(1), 255)
	return p.Sub(p, big.NewInt(19))
}

// edwardsD returns the d of the curve, -121665/121666 modulo p.
func edwardsD(p *big.Int) *big.Int {
	d := new(big.Int).ModInverse(big.NewInt(121666), p)
	return d.Mod(d.Mul(d, big.NewInt(-121665)), p)
}
