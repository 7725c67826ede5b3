// What the page does not do by itself for these nodes.

import { app } from '/scripts/app.js'

const BLENDS = ['AdaIN_BlendStyles', 'AdaIN_Guidance']
const LISTS = ['AdaIN_StyleGrid', 'AdaIN_Keyframes']
const SAVERS = ['AdaIN_SaveStyle', 'AdaIN_MatchColors']
const SAMPLES = ['coffee', 'astronaut', 'cat']

// The weights stay when the number of styles changes, for which the page makes their sliders anew.
function keepWeights(node) {
  const kept = new Map()
  const keep = widget => {
    if (!widget?.name.startsWith('styles.weight_')) return
    const { onRemove } = widget
    widget.onRemove = function () {
      kept.set(widget.name, widget.value)
      onRemove?.call(this)
    }
  }
  node.widgets.forEach(keep)
  const { addWidget } = node
  node.addWidget = function (type, name, value, ...rest) {
    const widget = addWidget.call(this, type, name, kept.get(name) ?? value, ...rest)
    keep(widget)
    return widget
  }
}

// Sockets of a growing list are called by locales/, which count from 1 as people do, not by their ids.
function dropLabels(node) {
  for (const input of node.inputs) if (input.name.startsWith('styles.style_')) input.label = undefined
}

// The text that a node gives after a run, below its widgets.
function showText(node) {
  const { onExecuted } = node
  node.onExecuted = function (output) {
    onExecuted?.call(this, output)
    let widget = this.widgets.find(widget => widget.name === 'text')
    if (!widget) {
      ({ widget } = app.widgets.STRING(this, 'text', ['STRING', { multiline: true }], app))
      widget.serialize = false // in the saved workflow
      widget.options.serialize = false // in what is sent to run
      widget.options.read_only = true
      if (widget.element) widget.element.readOnly = true
      this.setSize([Math.max(this.size[0], 320), this.computeSize()[1] + 40])
    }
    widget.value = output.text.join('\n')
  }
}

// The page looks in the input folder for what Sample Picture offers, where the samples are not: those are shown from here.
const sampleUrl = name => new URL(`./samples/${name}.jpg`, import.meta.url)

// In forms and nodes made of HTML, as they fail to load.
function showSamples() {
  document.addEventListener('error', event => {
    const { target } = event
    if (!(target instanceof HTMLImageElement)) return
    const { pathname, searchParams } = new URL(target.src, location)
    const name = searchParams.get('filename')
    if (!pathname.endsWith('/view') || searchParams.get('type') !== 'input' || !SAMPLES.includes(name)) return
    event.stopImmediatePropagation()
    target.src = sampleUrl(name)
  }, true)
}

// In a node on the canvas.
function drawSample(node) {
  const widget = node.widgets.find(widget => widget.name === 'picture')
  const draw = () => {
    if (!SAMPLES.includes(widget.value)) return
    const picture = new Image()
    picture.onload = () => {
      node.imgs = [picture]
      node.graph?.setDirtyCanvas(true)
    }
    picture.src = sampleUrl(widget.value)
  }
  const { callback } = widget
  widget.callback = function (...change) {
    callback?.apply(this, change)
    draw()
  }
  requestAnimationFrame(draw) // a saved value is set after the node is made
}

// Links of one kind have one colour, in either way of drawing nodes.
const COLORS = { ADAIN_MODEL: '#c9a2ff', ADAIN_STYLE: '#ffb454', ADAIN_STABILITY: '#7fd1b9' }

function colorLinks() {
  for (const [type, color] of Object.entries(COLORS)) {
    document.documentElement.style.setProperty(`--color-datatype-${type}`, color)
    app.canvas.default_connection_color_byType[type] = color
    LGraphCanvas.link_type_colors[type] = color
  }
}

app.registerExtension({
  name: 'AdaIN.Styles',
  setup: showSamples,
  nodeCreated(node) {
    if (node.comfyClass?.startsWith('AdaIN_')) colorLinks() // now, as a palette that is loaded later forgets them
    if (node.comfyClass === 'AdaIN_SamplePicture') drawSample(node)
    if (SAVERS.includes(node.comfyClass)) showText(node)
    if (BLENDS.includes(node.comfyClass)) keepWeights(node)
    if (!LISTS.includes(node.comfyClass)) return
    dropLabels(node)
    const { onConnectionsChange } = node
    node.onConnectionsChange = function (...change) {
      onConnectionsChange?.apply(this, change)
      dropLabels(this)
    }
  },
  loadedGraphNode(node) {
    if (LISTS.includes(node.comfyClass)) dropLabels(node)
  }
})
