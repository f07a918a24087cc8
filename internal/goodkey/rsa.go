package goodkey

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

const (
	minRSABits = 2048 // NIST SP 800-57, part 1
	maxRSABits = 8192 // crypto/tls refuses a larger one in a handshake
	exponent   = 65537
)

func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Errorf("its RSA key has %d bits, want at least %d", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Errorf("its RSA key has %d bits, and TLS takes at most %d", bits, maxRSABits)
	case key.E != exponent:
		return fmt.Errorf("its RSA key has the exponent %d, want %d", key.E, exponent)
	}
	switch {
	case hasSmallFactor(key.N):
		return errors.New("its RSA key has a modulus with a small factor, so that everybody can compute the private key")
	case isROCA(key.N):
		return errors.New("its RSA key was made by a chip with the ROCA fault (CVE-2017-15361), so that others can compute the private key")
	case hasCloseFactors(key.N):
		return errors.New("its RSA key has a modulus of two numbers that are close, so that everybody can compute the private key")
	case key.N.ProbablyPrime(0): // tells a composite number with one exponentiation
		return errors.New("its RSA key has a modulus that is prime, so that everybody can compute the private key")
	}
	return nil
}

// hasSmallFactor reports whether a number has a prime factor below 752, as boulder and openssl test.
func hasSmallFactor(n *big.Int) bool {
	var rest, divisor big.Int
	for small := int64(2); small < 752; small++ {
		if rest.Mod(n, divisor.SetInt64(small)).Sign() == 0 {
			return true
		}
	}
	return false
}

// isROCA reports whether a modulus has the fingerprint of the keys that Infineon's library made: modulo
// each of many small primes it is a power of 65537 (Nemec et al., The Return of Coppersmith's Attack,
// 2017, section 2.2). One other key in 2^27 has it too.
func isROCA(n *big.Int) bool {
	for _, prime := range []uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		rest := new(big.Int).Mod(n, new(big.Int).SetUint64(prime)).Uint64()
		power, found := uint64(1), false
		for range prime {
			found = found || power == rest
			power = power * exponent % prime
		}
		if !found {
			return false
		}
	}
	return true
}

// fermatRounds is how many pairs of factors boulder tries.
const fermatRounds = 110

// hasCloseFactors reports whether Fermat's method finds the factors of an odd number at once.
func hasCloseFactors(n *big.Int) bool {
	one := big.NewInt(1)
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	var square, root big.Int
	for range fermatRounds {
		a.Add(a, one)
		square.Sub(square.Mul(a, a), n)
		root.Sqrt(&square)
		if root.Mul(&root, &root).Cmp(&square) == 0 {
			return true
		}
	}
	return false
}
