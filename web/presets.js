// Presets by looking: the picture of the one chosen in its node, all of them by one click on it.

import { app } from '/scripts/app.js'

const SETTING = 'AdaIN.PresetPictures'

const picture = name => new URL(`docs/images/presets/${name}.jpg`, import.meta.url).href

const element = (tag, style, rest = {}) => {
  const made = Object.assign(document.createElement(tag), rest)
  Object.assign(made.style, style)
  return made
}

const caption = (name, { title, artist }) => `${title}, ${artist} (${name})`

// What the server says of the presets, with the input that chooses one (nodes/presets.py).
const presetsOf = nodeData => {
  const { required, optional } = nodeData.input ?? {}
  return (required?.preset ?? optional?.preset)?.[1]?.presets
}

let known // all presets by name, from any of the nodes

// A dialog with all presets, those of a kind together, in which words are looked for. Calls `choose` with the one clicked.
function overview(chosen, choose) {
  const dialog = element('dialog', {
    width: 'min(1100px, 94vw)', height: '90vh', padding: '0', border: '1px solid #8886', borderRadius: '12px',
    background: 'var(--comfy-menu-bg, #222)', color: 'var(--input-text, #ddd)', font: '14px system-ui, sans-serif',
    pointerEvents: 'auto' // the page takes them from its body while a dialog of its own is open
  })
  dialog.className = 'adain-presets'
  dialog.setAttribute('aria-label', 'Style presets')
  const bar = element('div', {
    position: 'sticky', top: '0', display: 'flex', gap: '8px', padding: '12px', background: 'inherit', zIndex: '1'
  })
  const search = element('input', {
    flex: '1', minWidth: '0', padding: '8px', borderRadius: '8px', border: '1px solid #8886', background: 'var(--comfy-input-bg, #111)', color: 'inherit', font: 'inherit'
  }, { type: 'search', placeholder: 'Artist, title or kind of art' })
  search.setAttribute('aria-label', search.placeholder)
  const close = element('button', {
    padding: '8px 14px', borderRadius: '8px', border: '1px solid #8886', background: 'none', color: 'inherit', font: 'inherit', cursor: 'pointer'
  }, { textContent: '✕', onclick: () => dialog.close() })
  close.setAttribute('aria-label', 'Close')
  bar.append(search, close)
  dialog.append(bar)

  for (const [kind, names] of byKind()) {
    const group = element('section', { padding: '0 12px 12px' })
    const grid = element('div', { display: 'grid', gap: '8px', gridTemplateColumns: 'repeat(auto-fill, minmax(150px, 1fr))' })
    for (const name of names) grid.append(card(name, name === chosen, () => { dialog.close(); choose(name) }))
    group.append(element('h3', { margin: '8px 0', font: '600 15px system-ui, sans-serif' }, { textContent: kind }), grid)
    dialog.append(group)
  }
  search.oninput = () => {
    const words = search.value.toLowerCase().split(/\s+/)
    for (const group of dialog.querySelectorAll('section')) {
      const cards = [...group.querySelectorAll('button')]
      for (const one of cards) one.style.display = words.every(word => one.dataset.words.includes(word)) ? '' : 'none'
      group.style.display = cards.some(one => !one.style.display) ? '' : 'none'
    }
  }
  dialog.addEventListener('keydown', event => event.stopPropagation()) // the graph has keys of its own
  dialog.addEventListener('click', event => { if (event.target === dialog) dialog.close() })
  dialog.addEventListener('close', () => dialog.remove())
  document.body.append(dialog)
  dialog.showModal()
  search.focus()
}

function byKind() {
  const groups = new Map()
  for (const [name, { kind }] of Object.entries(known)) groups.set(kind, [...(groups.get(kind) ?? []), name])
  return groups
}

function card(name, current, choose) {
  const { title, artist, kind } = known[name]
  const made = element('button', {
    display: 'flex', flexDirection: 'column', padding: '0', overflow: 'hidden', borderRadius: '8px', border: `2px solid ${current ? 'var(--p-primary-color, #5af)' : '#8884'}`,
    background: 'none', color: 'inherit', font: 'inherit', textAlign: 'start', cursor: 'pointer'
  }, { onclick: choose })
  made.dataset.words = `${name} ${title} ${artist} ${kind}`.toLowerCase()
  made.append(
    element('img', { display: 'block', width: '100%', aspectRatio: '3 / 2', objectFit: 'cover' }, { src: picture(name), loading: 'lazy', alt: '' }),
    element('div', { padding: '6px 8px 0', fontWeight: '600' }, { textContent: title }),
    element('div', { padding: '0 8px 8px', fontSize: '12px', opacity: '0.75' }, { textContent: artist })
  )
  return made
}

// The picture of the chosen preset below the widgets of a node; not of those where a style image is connected.
function showPreset(node) {
  const choice = node.widgets?.find(widget => widget.name === 'preset')
  if (!choice || !node.addDOMWidget) return
  const image = element('img', { width: '100%', height: '100%', objectFit: 'contain', cursor: 'pointer', borderRadius: '6px' })
  image.tabIndex = 0
  image.setAttribute('role', 'button')
  const widget = node.addDOMWidget('preset_picture', 'ADAIN_PRESET', image, { serialize: false, getMinHeight: () => 110, getMaxHeight: () => 220 })
  widget.serialize = false // in the saved workflow; the options are for what is sent to run
  const update = () => {
    const of = known[choice.value]
    const unused = node.inputs?.some(input => input.name === 'style_image' && input.link != null)
    image.style.opacity = unused ? '0.25' : ''
    image.hidden = !of
    if (!of) return
    image.src = picture(choice.value)
    image.alt = image.title = caption(choice.value, of)
  }
  const open = () => overview(choice.value, name => {
    choice.value = name
    choice.callback?.(name)
    update()
    app.graph.setDirtyCanvas(true, true)
  })
  image.onclick = open
  image.onkeydown = event => { if (event.key === 'Enter' || event.key === ' ') open() }
  for (const [target, name] of [[choice, 'callback'], [node, 'onConnectionsChange'], [node, 'onConfigure']]) {
    const before = target[name]
    target[name] = function (...given) {
      const result = before?.apply(this, given)
      update()
      return result
    }
  }
  update()
}

// A preset for what is selected, or else a new node with it.
function choosePreset() {
  const [selected] = Object.values(app.canvas.selected_nodes ?? {}).filter(node => node.widgets?.some(widget => widget.name === 'preset'))
  overview(selected?.widgets.find(widget => widget.name === 'preset').value, name => {
    const node = selected ?? LiteGraph.createNode('AdaIN_Stylize')
    if (!selected) {
      const [x, y, width, height] = app.canvas.visible_area
      node.pos = [x + width / 3, y + height / 4]
      app.graph.add(node)
    }
    const choice = node.widgets.find(widget => widget.name === 'preset')
    choice.value = name
    choice.callback?.(name)
    app.graph.setDirtyCanvas(true, true)
  })
}

app.registerExtension({
  name: 'AdaIN.Presets',
  settings: [
    {
      id: SETTING,
      category: ['AdaIN', 'Nodes', 'Preset pictures'],
      name: "Show the chosen preset's picture in nodes",
      tooltip: 'For nodes that are added or loaded afterwards.',
      type: 'boolean',
      defaultValue: true
    }
  ],
  commands: [{ id: 'AdaIN.ChoosePreset', label: 'Choose an AdaIN style preset', icon: 'pi pi-palette', function: choosePreset }],
  menuCommands: [{ path: ['AdaIN'], commands: ['AdaIN.ChoosePreset'] }],
  beforeRegisterNodeDef(nodeType, nodeData) {
    known ??= presetsOf(nodeData)
  },
  nodeCreated(node) {
    if (known && ['AdaIN_StylePreset', 'AdaIN_Stylize'].includes(node.comfyClass) && app.ui.settings.getSettingValue(SETTING)) showPreset(node)
  }
})
