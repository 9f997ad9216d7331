import t from 'tap'
import { Carry } from './carry.ts'

const text = (carry: Carry): string => carry.bytes.toString('latin1', carry.start)

t.test('a chunk is taken as it is where nothing is left over', t => {
  const carry = new Carry(1 << 20)
  const chunk = Buffer.from('abc')
  carry.push(chunk)
  t.equal(carry.bytes, chunk)
  carry.start = 3
  t.equal(carry.length, 0)
  const next = Buffer.from('def')
  carry.push(next)
  t.equal(carry.bytes, next)
  t.equal(carry.length, 3)
  t.end()
})

t.test('pieces are put together in order, whatever their sizes', t => {
  for (const sizes of [[1], [3, 1], [1, 4000, 2], [10, 5000, 1, 1, 700]]) {
    const carry = new Carry(1 << 20)
    let [pushed, all] = [0, '']
    for (let i = 0; i < 60; i++) {
      const piece = String.fromCharCode(65 + (i % 26)).repeat(sizes[i % sizes.length] as number)
      carry.push(Buffer.from(piece))
      all += piece
      pushed += piece.length
      // Sometimes a part of it is consumed, as by a frame that is complete.
      const consumed = i % 7 === 6 ? Math.floor(carry.length / 2) : 0
      carry.start += consumed
      all = all.slice(consumed)
      carry.settle()
      t.equal(text(carry), all)
    }
    t.ok(pushed > 0)
  }
  t.end()
})

t.test('it never holds more than about twice what came, nor more than can be needed until that has come', t => {
  const carry = new Carry(70_000)
  const piece = Buffer.allocUnsafeSlow(1)
  for (let length = 1; length <= 200_000; length++) {
    carry.push(piece)
    if (carry.capacity > Math.max(512, 2 * length)) t.fail(`${carry.capacity} bytes for ${length}`)
    if (length <= 70_000 && carry.capacity > 70_000) t.fail(`${carry.capacity} bytes where 70000 can be needed`)
  }
  t.equal(carry.length, 200_000)
  t.end()
})

t.test('a chunk larger than all before it gets no room to grow', t => {
  const carry = new Carry(1 << 20)
  carry.push(Buffer.from('abc'))
  carry.push(Buffer.alloc(65_536))
  t.equal(carry.capacity, 65_539)
  t.end()
})

t.test('doubling makes the copies of a long sum of pieces as good as linear', t => {
  const carry = new Carry(1 << 20)
  const stores = new Set<ArrayBufferLike>()
  for (let i = 0; i < 1 << 18; i++) {
    carry.push(Buffer.from('12345678'))
    stores.add(carry.bytes.buffer)
  }
  t.equal(carry.length, 1 << 21)
  t.ok(stores.size <= 15, `${stores.size} stores`)
  t.end()
})

t.test('a small rest does not keep a large chunk in memory', t => {
  const carry = new Carry(1 << 20)
  carry.push(Buffer.alloc(65_536, 'x'))
  carry.start = 65_530
  carry.settle()
  t.equal(text(carry), 'xxxxxx')
  t.ok(carry.capacity <= 1024)

  const many = Buffer.alloc(65_536, 'y')
  const small = new Carry(1 << 20)
  small.push(many.subarray(0, 10))
  small.settle()
  t.equal(text(small), 'yyyyyyyyyy')
  t.ok(small.capacity <= 1024, 'nor does one that is a part of a larger buffer')
  t.end()
})

t.test('nothing is held when all is consumed', t => {
  const carry = new Carry(1 << 20)
  carry.push(Buffer.alloc(1000))
  carry.start = 1000
  carry.settle()
  t.equal(carry.capacity, 0)
  carry.push(Buffer.alloc(10))
  carry.push(Buffer.alloc(10))
  carry.clear()
  t.equal(carry.capacity, 0)
  t.equal(carry.length, 0)
  t.end()
})
