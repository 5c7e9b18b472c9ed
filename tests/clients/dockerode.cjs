// What programs in Node do with dockerode: `node dockerode.cjs SCENARIO` prints what it found as JSON.
'use strict'
const { PassThrough } = require('node:stream')
const { once } = require('node:events')
const Docker = require('dockerode')

const docker = new Docker({ socketPath: process.env.DOCKER_SOCKET })

function collector () {
  const stream = new PassThrough()
  stream.text = ''
  stream.on('data', (chunk) => { stream.text += chunk })
  return stream
}

async function running (command, options = {}) {
  const container = await docker.createContainer({ Image: 'busybox', Cmd: command, ...options })
  await container.start()
  return container
}

async function demuxed (container, stream) {
  const [out, err] = [collector(), collector()]
  container.modem.demuxStream(stream, out, err)
  await once(stream, 'end')
  return { out: out.text, err: err.text }
}

const scenarios = {
  async run () {
    const [out, err] = [collector(), collector()]
    const words = ['sh', '-c', 'echo out; echo err >&2; exit 3']
    const [status, container] = await docker.run('busybox', words, [out, err], { Tty: false })
    await container.remove()
    return { code: status.StatusCode, out: out.text, err: err.text }
  },

  async terminal () {
    const out = collector()
    const [status, container] = await docker.run('busybox', ['tty'], out, { Tty: true, HostConfig: { AutoRemove: false } })
    await container.remove()
    return { code: status.StatusCode, out: out.text }
  },

  async exec () {
    const container = await running(['sleep', '60'])
    const exec = await container.exec({
      Cmd: ['sh', '-c', 'cat; echo err >&2; exit 4'], AttachStdin: true, AttachStdout: true, AttachStderr: true
    })
    const stream = await exec.start({ hijack: true, stdin: true })
    const found = demuxed(container, stream)
    stream.write('given')
    stream.end()
    const texts = await found
    const { ExitCode, Running } = await exec.inspect()
    await container.remove({ force: true })
    return { ...texts, code: ExitCode, running: Running }
  },

  async attach () {
    const container = await docker.createContainer({
      Image: 'busybox', Cmd: ['cat'], OpenStdin: true, StdinOnce: true, AttachStdin: true
    })
    const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true })
    await container.start()
    const found = demuxed(container, stream)
    const data = 'x'.repeat(1 << 20)
    stream.write(data)
    stream.end()
    const { out } = await found
    const { StatusCode } = await container.wait()
    await container.remove()
    return { same: out === data, code: StatusCode }
  },

  async logs () {
    const script = 'for i in 1 2 3; do echo tick $i; sleep 0.1; done; echo end >&2'
    const container = await running(['sh', '-c', script])
    const stream = await container.logs({ follow: true, stdout: true, stderr: true })
    const found = await demuxed(container, stream)
    const last = (await container.logs({ stdout: true, tail: 2 })).subarray(8).toString()
    await container.remove({ force: true })
    return { ...found, last }
  },

  async stats () {
    const container = await running(['sleep', '60'])
    const once = await container.stats({ stream: false })
    const stream = await container.stats({ stream: true })
    const seen = []
    let pending = ''
    for await (const chunk of stream) {
      pending += chunk
      const lines = pending.split('\n')
      pending = lines.pop()
      seen.push(...lines.filter(Boolean).map((line) => JSON.parse(line)))
      if (seen.length >= 2) break
    }
    stream.destroy()
    await container.remove({ force: true })
    return { memory: once.memory_stats.usage > 0, pids: once.pids_stats.current, names: seen.map((each) => each.id === container.id) }
  },

  async events () {
    const stream = await docker.getEvents({ filters: { type: ['container'], event: ['create', 'start', 'die', 'destroy'] } })
    const seen = []
    const container = await running(['true'])
    await container.wait()
    await container.remove()
    let pending = ''
    for await (const chunk of stream) {
      pending += chunk
      const lines = pending.split('\n')
      pending = lines.pop()
      for (const line of lines) {
        const event = line && JSON.parse(line)
        if (event && event.Actor.ID === container.id) seen.push(event.Action)
      }
      if (seen.at(-1) === 'destroy') break
    }
    stream.destroy()
    return { seen }
  },

  async objects () {
    const volume = await docker.createVolume({ Name: 'nodevolume', Labels: { a: 'b' } })
    const network = await docker.createNetwork({ Name: 'nodenetwork' })
    const container = await running(['sleep', '60'], {
      name: 'nodebox', HostConfig: { Binds: ['nodevolume:/x'], NetworkMode: 'nodenetwork' }
    })
    const [listed] = await docker.listContainers({ filters: { name: ['nodebox'] } })
    const archive = await container.getArchive({ path: '/etc/passwd' })
    let size = 0
    for await (const chunk of archive) size += chunk.length
    await container.rename({ name: 'nodebox2' })
    await container.update({ Memory: 64 << 20, MemorySwap: 128 << 20 })
    const info = await container.inspect()
    const image = await container.commit({ repo: 'nodeimage', tag: '1' })
    await container.stop({ t: 0 })
    await container.remove({ v: true })
    await network.remove()
    await volume.remove()
    await docker.getImage('nodeimage:1').remove()
    return {
      state: listed.State, network: listed.HostConfig.NetworkMode, archive: size % 512, name: info.Name, memory: info.HostConfig.Memory, image: image.Id.slice(0, 7)
    }
  },

  async errors () {
    const found = {}
    for (const [name, work] of Object.entries({
      missing: () => docker.getContainer('nope').inspect(),
      image: () => docker.createContainer({ Image: 'nope:1' }),
      option: () => docker.createContainer({ Image: 'busybox', HostConfig: { Memory: 1 } })
    })) {
      await work().catch((error) => { found[name] = [error.statusCode, error.json.message] })
    }
    const pulled = await docker.pull('localhost:1/nope').catch((error) => error)
    found.pull = pulled.statusCode >= 500 || await new Promise((resolve) => docker.modem.followProgress(pulled, (error) => resolve(error && 'in the stream')))
    return found
  }
}

scenarios[process.argv[2]]().then((found) => console.log(JSON.stringify(found)), (error) => {
  console.error(error)
  process.exit(1)
})
